"""A model that only counts: what the engine and the LLM service are tested with."""

from __future__ import annotations

import threading
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, field
from typing import Any

import torch

from uniaudio.engine.request import GenerationRequest, SamplingOptions, Speak, Understand
from uniaudio.engine.sequence import (
    PatchMade,
    Phase,
    Sequence,
    SpeechEnded,
    StepResult,
    TokenMade,
    Vocabulary,
)

END, GEN_AUDIO = 0, 1


@dataclass
class FakeRunner:
    """Understanding: `num_words` words, then the end. Speech: patches numbered from 0, the stop head
    fires once `num_spoken` were made. Edits first say `num_words` words, then `<gen_audio>`.
    """

    model: Any = None
    num_words: int = 3
    num_spoken: int = 4
    latent_dim: int = 2
    preferred_sampling: SamplingOptions = field(default_factory=SamplingOptions)
    patch_size: int = 5
    frame_rate: float = 50.0
    gate: threading.Event | None = None  # a step waits for it
    fail_start: set[str] = field(default_factory=set)
    fail_row: set[str] = field(default_factory=set)
    fail_step: int | None = None
    batches: list[list[str]] = field(default_factory=list)
    vocabulary: Vocabulary = field(
        default_factory=lambda: Vocabulary(END, GEN_AUDIO, lambda ids, skip: _decode(ids, skip))
    )

    def prompt(self, request: GenerationRequest) -> tuple[Any, int]:
        return None, 10

    def start(self, sequence: Sequence) -> None:
        if sequence.request.request_id in self.fail_start:
            raise RuntimeError("start broke")
        sequence.model_state = object()

    def step(self, sequences: SequenceOf[Sequence]) -> list[StepResult | Exception]:
        if self.gate is not None:
            assert self.gate.wait(10)
        self.batches.append([sequence.request.request_id for sequence in sequences])
        if self.fail_step == len(self.batches):
            raise RuntimeError("step broke")
        return [self._one(sequence) for sequence in sequences]

    def _one(self, sequence: Sequence) -> StepResult | Exception:
        if sequence.request.request_id in self.fail_row:
            return RuntimeError("row broke")
        if sequence.phase is Phase.TEXT:
            end = END if isinstance(sequence.request.task, Understand) else GEN_AUDIO
            choice = 2 + sequence.num_tokens if sequence.num_tokens < self.num_words else end
            return TokenMade(sequence.choose_token(choice))
        stop = 0.9 if sequence.num_patches >= self.num_spoken else 0.1
        if sequence.stops_before_patch(stop):
            return SpeechEnded(stop)
        initial, _ = sequence.noise.next_patch(2, self.patch_size, self.latent_dim)
        return PatchMade(torch.full_like(initial, sequence.num_patches) + initial, stop)


def _decode(ids: SequenceOf[int], skip_special: bool) -> str:
    special = {END: "<|endoftext|>", GEN_AUDIO: "<gen_audio>"}
    return "".join(
        "" if skip_special and token in special else special.get(token, f"w{token} ") for token in ids
    )


def speak(request_id: str, **task: Any) -> GenerationRequest:
    task = {"text": "four", "min_patches": 2, **task}
    return GenerationRequest(request_id=request_id, task=Speak(**task))
