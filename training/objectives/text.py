"""Cross-entropy of the text that the model has to write (8.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy


def text_loss(logits: Tensor, labels: Tensor, num_labels: int) -> Tensor:
    """Summed cross-entropy of `logits` `(N, V)` for `labels` `(N,)`, divided by the whole step's labels."""
    return cross_entropy(logits.float(), labels, reduction="sum") / num_labels


@torch.no_grad()
def num_right(logits: Tensor, labels: Tensor) -> Tensor:
    """How many labels are what a greedy decoder would have written there."""
    return (logits.argmax(-1) == labels).sum()
