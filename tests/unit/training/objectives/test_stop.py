"""The stop loss equals its definition, written out utterance by utterance."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from training.objectives.stop import stop_loss


def written_out(logits: Tensor, lengths: list[int]) -> Tensor:
    total = logits.new_zeros(())
    for utterance in torch.split(logits, lengths):
        total += 0.5 * cross_entropy(utterance[-1:], torch.tensor([1]))
        negatives = utterance[:-4]
        if len(negatives):
            hardest = negatives.softmax(-1)[:, 1].argmax()
            total += 0.5 * cross_entropy(negatives[hardest : hardest + 1], torch.tensor([0]))
    return total / len(lengths)


def test_it_is_the_definition() -> None:
    torch.manual_seed(0)
    for lengths in ([7], [12, 1, 30, 4, 5], [3, 2], [40] * 6):
        logits = torch.randn(sum(lengths), 2)
        torch.testing.assert_close(stop_loss(logits, lengths, len(lengths)), written_out(logits, lengths))


def test_gradients_reach_the_end_and_the_hardest_negative_alone() -> None:
    logits = torch.zeros(10, 2)
    logits[2, 1] = 1.0
    logits[8, 1] = 5.0  # one of the three before the end
    logits.requires_grad_()
    stop_loss(logits, [10], 1).backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum(1).nonzero().flatten().tolist() == [2, 9]


def test_parts_add_up() -> None:
    logits = torch.randn(20, 2)
    whole = stop_loss(logits, [8, 12], 2)
    torch.testing.assert_close(whole, stop_loss(logits[:8], [8], 2) + stop_loss(logits[8:], [12], 2))
