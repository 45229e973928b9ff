"""Learning a teacher's features (model specification 8.1): the squared distance, and what it leaves out."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Teacher(Protocol):
    """Whoever gives features to learn from: Whisper's encoder, or the small one of the recipe."""

    @property
    def output_dim(self) -> int:
        """Width of a feature."""

    def __call__(self, waveform: Tensor) -> Tensor:
        """Features `(B, T, output_dim)` at 50 Hz of 16 kHz waveforms `(B, num_samples)`."""


def distillation_loss(student: Tensor, teacher: Tensor, num_frames: int) -> Tensor:
    """Mean squared difference of `(N, dim)`, as a part of a step with `num_frames` frames in all."""
    return (student.float() - teacher.float()).square().sum() / (num_frames * teacher.shape[-1])


class DistanceCount:
    """Gathers a mean squared error over batches, and what of the teacher's variance it explains."""

    def __init__(self) -> None:
        self._teachers: list[Tensor] = []
        self._squares: list[Tensor] = []

    def add(self, student: Tensor, teacher: Tensor) -> None:
        """Counts frames `(N, dim)` in."""
        self._teachers.append(teacher.float().cpu())
        self._squares.append((student.float() - teacher.float()).square().mean(-1).cpu())

    @property
    def mse(self) -> float:
        """Mean squared error over all frames and coordinates."""
        return float(torch.cat(self._squares).mean())

    @property
    def explained(self) -> float:
        """1 for a perfect student, 0 for one that always answers the mean feature, or worse than 0."""
        return 1 - self.mse / float(torch.cat(self._teachers).var(0, correction=0).mean())
