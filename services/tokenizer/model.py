"""The one place where the service meets torch: steps of many sessions in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from uniaudio.errors import UniaudioError
from uniaudio.v1 import audio_pb2

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class EncodeStep:
    """A piece of one session's waveform (num_samples,); the model advances `state`."""

    waveform: Floats
    state: Any
    last: bool


@dataclass(frozen=True, kw_only=True)
class DecodeStep:
    """A piece of one session's latents (num_frames, latent_dim); the model advances `state`."""

    latents: Floats
    state: Any
    last: bool


@dataclass(frozen=True, kw_only=True)
class SpellStep:
    """A whole recording's latents (num_frames, latent_dim), whose letters are to be told."""

    latents: Floats


Step = EncodeStep | DecodeStep | SpellStep


@dataclass(frozen=True, kw_only=True)
class FramePosteriors:
    """What one encode step made known: mean and std, each (num_frames, latent_dim)."""

    mean: Floats
    std: Floats


StepResult = FramePosteriors | Floats


class StepModel(Protocol):
    """A tokenizer that takes one step for many sessions at once. Called from one thread at a time."""

    sample_rate: int
    hop_length: int
    latent_dim: int
    alphabet: str
    """The letters that it can tell; empty without a letter ear."""
    info: audio_pb2.ModelInfo

    def new_encoder_state(self) -> Any:
        """State of a stream of waveforms that has not begun."""
        ...

    def new_decoder_state(self) -> Any:
        """State of a stream of latents that has not begun."""
        ...

    def run(self, steps: Sequence[Step]) -> Sequence[StepResult | UniaudioError]:
        """One result per step: FramePosteriors for EncodeStep, a waveform (num_samples,) for DecodeStep, logarithms
        (num_frames, 1 + len(alphabet)) for SpellStep.

        A step that cannot be taken has its error in its place, so that it fails nobody else.
        """
        ...


def load_model(
    directory: Path, *, device: str, dtype: str, num_threads: int, reproducible: bool = False
) -> StepModel:
    """The tokenizer of a checkpoint, on `device`. Raises CheckpointError where the checkpoint does not fit."""
    # Here, so that whoever only names the types above does not load torch.
    from services.tokenizer.torch_model import TorchStepModel

    return TorchStepModel(
        directory, device=device, dtype=dtype, num_threads=num_threads, reproducible=reproducible
    )
