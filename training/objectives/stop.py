"""The stop loss: where speech ends, against the position most easily taken for it (8.3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_IGNORED_BEFORE_END = 3


def stop_loss(logits: Tensor, lengths: Sequence[int], num_utterances: int) -> Tensor:
    """Half the cross-entropy of each end and half that of its hardest negative, over `num_utterances`.

    The last position of an utterance is the positive, the three before it do not count, and of the rest
    only the one that looks most like an end is the negative; an utterance of up to four patches has none.

    Args:
        logits: `(N, 2)`, of the positions that consumed the patches of all utterances, end to end.
        lengths: patches of each utterance; they sum to N.
        num_utterances: of the whole step.
    """
    log_probabilities = logits.float().log_softmax(-1)
    counts = torch.tensor(list(lengths), device=logits.device)
    last = counts.cumsum(0) - 1
    positives = log_probabilities[last, 1].sum()
    with torch.no_grad():
        hardest = _hardest_negatives(log_probabilities[:, 1], counts, last)
    negatives = log_probabilities[hardest, 0].sum()
    return -0.5 * (positives + negatives) / num_utterances


def _hardest_negatives(stop: Tensor, counts: Tensor, last: Tensor) -> Tensor:
    """Packed index of the highest `stop` `(N,)` of each utterance that has negatives."""
    steps = torch.arange(int(counts.max()), device=stop.device)
    counted = steps < (counts - 1 - _IGNORED_BEFORE_END)[:, None]
    index = (last - counts + 1)[:, None] + steps
    candidates = stop[index.clamp(max=len(stop) - 1)].masked_fill(~counted, -torch.inf)
    hardest = candidates.argmax(1)
    has_any = counted.any(1)
    return (last - counts + 1 + hardest)[has_any]
