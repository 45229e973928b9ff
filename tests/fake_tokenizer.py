"""A tokenizer without weights that keeps the protocol of `services.tokenizer.model.StepModel`."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from services.tokenizer.model import (
    DecodeStep,
    EncodeStep,
    Floats,
    FramePosteriors,
    SpellStep,
    Step,
    StepResult,
)
from uniaudio.v1 import audio_pb2

DELAY = 480


@dataclass
class FakeState:
    """Samples that fill no frame yet, or that are not sent yet."""

    held: Floats = field(default_factory=lambda: np.zeros(0, np.float32))


class FakeStepModel:
    """Latent j of a frame is the frame's mean + j; a sample is its latent's first value.

    It hears letter `round(value) % 3` of " ab" in a latent's first value, where it has an `alphabet`.
    Like the real one it cuts frames inside and holds back 480 samples of a stream. `gate` closed makes
    `run` wait; `fail_next` makes it raise once; `batches` records what came together.
    """

    sample_rate = 16_000
    hop_length = 320
    latent_dim = 4
    alphabet = " ab"
    info = audio_pb2.ModelInfo(name="fake", revision="0123456789ab", trained=False, notice="No weights.")

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.fail_next: Exception | None = None
        self.batches: list[int] = []

    def new_encoder_state(self) -> FakeState:
        return FakeState()

    def new_decoder_state(self) -> FakeState:
        return FakeState()

    def run(self, steps: Sequence[Step]) -> list[StepResult]:
        assert self.gate.wait(30)
        self.batches.append(len(steps))
        if self.fail_next is not None:
            error, self.fail_next = self.fail_next, None
            raise error
        return [self._run(step) for step in steps]

    def _run(self, step: Step) -> StepResult:
        match step:
            case EncodeStep():
                return self._encode(step)
            case DecodeStep():
                return self._decode(step)
            case SpellStep():
                return self._spell(step)

    def _spell(self, step: SpellStep) -> Floats:
        heard = np.full((len(step.latents), 1 + len(self.alphabet)), -9.0, np.float32)
        with np.errstate(invalid="ignore"):
            heard[np.arange(len(heard)), 1 + np.round(step.latents[:, 0]).astype(int) % 3] = 0.0
        return heard

    def _encode(self, step: EncodeStep) -> FramePosteriors:
        held = np.concatenate((step.state.held, step.waveform))
        if step.last:
            held = np.pad(held, (0, -len(held) % self.hop_length))
        num_frames = len(held) // self.hop_length
        whole = num_frames * self.hop_length
        step.state.held = held[whole:]
        with np.errstate(over="ignore"):
            means = held[:whole].reshape(num_frames, self.hop_length).mean(axis=1, keepdims=True)
        mean = (means + np.arange(self.latent_dim)).astype(np.float32)
        return FramePosteriors(mean=mean, std=np.full_like(mean, 0.5))

    def _decode(self, step: DecodeStep) -> Floats:
        held = np.concatenate((step.state.held, np.repeat(step.latents[:, 0], self.hop_length)))
        ready = len(held) if step.last else max(0, len(held) - DELAY)
        step.state.held = held[ready:]
        return held[:ready]
