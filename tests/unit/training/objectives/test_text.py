"""Text loss: a token mean over the step, however the step is divided."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from training.objectives.text import num_right, text_loss


def test_parts_add_up_to_the_mean() -> None:
    logits, labels = torch.randn(9, 20), torch.randint(20, (9,))
    parts = text_loss(logits[:2], labels[:2], 9) + text_loss(logits[2:], labels[2:], 9)
    torch.testing.assert_close(parts, cross_entropy(logits, labels))


def test_labels_that_greedy_decoding_writes_are_counted() -> None:
    logits = torch.eye(4)
    assert num_right(logits, torch.tensor([0, 1, 0, 3])) == 3
