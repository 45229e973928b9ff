"""What one caller's waveform or latents go through: cut to steps, run in order, the state held here.

A unary call is a session of one message. Long messages are cut into steps of ten seconds, so that memory
stays bounded and nobody waits behind somebody else's hour.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from services.tokenizer.batcher import Batcher
from services.tokenizer.model import (
    DecodeStep,
    EncodeStep,
    Floats,
    FramePosteriors,
    SpellStep,
    Step,
    StepModel,
    StepResult,
)
from uniaudio.errors import ModelOutputError

STEP_FRAMES = 500

StepBatcher = Batcher[Step, StepResult]


def queued_audio_seconds(batcher: StepBatcher, model: StepModel) -> float:
    """Seconds of audio in the steps that wait: what they cost are their frames, and one more."""
    return batcher.queued_cost * model.hop_length / model.sample_rate


class EncodeSession:
    """Waveform pieces in, latents out. The same seed gives the same noise however the waveform is cut."""

    def __init__(
        self, model: StepModel, batcher: StepBatcher, *, sample: bool = False, seed: int = 0
    ) -> None:
        self._model = model
        self._batcher = batcher
        self._state: Any = model.new_encoder_state()
        self._noise = np.random.Generator(np.random.PCG64(seed)) if sample else None

    async def feed(self, waveform: Floats, *, last: bool) -> Floats:
        """Latents (num_frames, latent_dim) that became known with `waveform` (num_samples,)."""
        hop_length = self._model.hop_length
        known = [np.zeros((0, self._model.latent_dim), np.float32)]
        for piece, is_last in _pieces(waveform, STEP_FRAMES * hop_length, last):
            step = EncodeStep(waveform=piece, state=self._state, last=is_last)
            posteriors = await self._batcher.submit(step, 1 + len(piece) // hop_length)
            if not isinstance(posteriors, FramePosteriors):
                raise TypeError(f"an encode step gave {type(posteriors).__name__}")
            known.append(_checked(self._draw(posteriors), "latents"))
        return np.concatenate(known)

    def _draw(self, posteriors: FramePosteriors) -> Floats:
        if self._noise is None:
            return posteriors.mean
        noise = self._noise.standard_normal(posteriors.mean.shape, dtype=np.float32)
        latents: Floats = posteriors.mean + posteriors.std * noise
        return latents


class DecodeSession:
    """Latent pieces in, waveform out."""

    def __init__(self, model: StepModel, batcher: StepBatcher) -> None:
        self._batcher = batcher
        self._state: Any = model.new_decoder_state()

    async def feed(self, latents: Floats, *, last: bool) -> Floats:
        """Samples (num_samples,) that became known with `latents` (num_frames, latent_dim)."""
        known = [np.zeros(0, np.float32)]
        for piece, is_last in _pieces(latents, STEP_FRAMES, last):
            step = DecodeStep(latents=piece, state=self._state, last=is_last)
            waveform = await self._batcher.submit(step, 1 + len(piece))
            if isinstance(waveform, FramePosteriors):
                raise TypeError("a decode step gave posteriors")
            known.append(_checked(waveform, "samples"))
        return np.concatenate(known)


async def spell(batcher: StepBatcher, latents: Floats) -> Floats:
    """Logarithms of how likely each of latents (num_frames, latent_dim) speaks each letter."""
    heard = await batcher.submit(SpellStep(latents=latents), 1 + len(latents))
    if isinstance(heard, FramePosteriors):
        raise TypeError("a spell step gave posteriors")
    return _checked(heard, "letters")


def _pieces(values: Floats, size: int, last: bool) -> list[tuple[Floats, bool]]:
    """`values` in runs of at most `size` along the first axis, the final one marked where it is `last`."""
    if len(values) == 0:
        return [(values, True)] if last else []
    starts = range(0, len(values), size)
    return [(values[start : start + size], last and start + size >= len(values)) for start in starts]


def _checked(values: Floats, what: str) -> Floats:
    if not np.isfinite(values).all():
        raise ModelOutputError(
            f"the model answered {what} that are not finite numbers; the input lies far outside of speech "
            "(samples belong within [-1, 1]): scale it",
            value=f"{what} that are not finite",
            limit="finite numbers",
            remedy="scale the samples to within [-1, 1]",
        )
    return values
