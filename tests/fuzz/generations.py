"""Sends odd requests to the LLM service, as Triton hands them on.

`python -m tests.fuzz.generations FIRST COUNT SEED LAST_INPUT`
"""

from __future__ import annotations

import random
import sys
import threading

import numpy as np

from services.llm.backend import Backend, Latents
from tests.engine_house import running
from tests.fuzz.messages import serialized
from tests.fuzz.watching import Batch, Watch
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import setup_logging
from uniaudio.v1 import audio_pb2, llm_pb2

_SECONDS = 60.0
_FINE = (
    llm_pb2.GenerateOptions(understand=llm_pb2.UnderstandTask(max_tokens=20)),
    llm_pb2.GenerateOptions(speak=llm_pb2.SpeakTask(text="Hello there.")),
    llm_pb2.GenerateOptions(edit=llm_pb2.EditTask(instruction="denoise the audio", reasoning=True)),
)
_SHAPES = ((0, 2), (1, 2), (5, 2), (5, 2), (20, 2), (20, 2), (3, 2), (20, 3), (20,), (1, 20, 2), (4_000, 2))
_VALUES = (0.0, 1.0, -1.0, 1e30, float("nan"), float("inf"))


class _Stream:
    """Counts what is sent on it, and keeps how it ended."""

    def __init__(self) -> None:
        self.num_sent = 0
        self.error: UniaudioError | None = None
        self.has_ended = threading.Event()

    def send(self, event: llm_pb2.GenerateEvent, latents: Latents | None) -> None:
        self.num_sent += 1

    def fail(self, error: UniaudioError) -> None:
        self.error = error
        self.has_ended.set()

    def close(self) -> None:
        self.has_ended.set()

    def is_cancelled(self) -> bool:
        return False


class _NoMeters:
    """Nobody looks at the engine's numbers."""

    def observe_queue_seconds(self, seconds: float) -> None: ...

    def set_stats(self, stats: object) -> None: ...


def main(batch: Batch) -> None:
    """Every request is done, or refused with an error of ours; anything else ends the run."""
    setup_logging("fuzz", "error")
    watch = Watch()
    watch.begin()
    with running() as (engine, _):
        backend = Backend(engine, audio_pb2.ModelInfo(name="fake"), _NoMeters(), poll_seconds=0.01)
        try:
            for number in batch.numbers:
                if batch.is_warm(number):
                    watch.warm()
                rng = batch.random(number)
                options = serialized(rng, llm_pb2.GenerateOptions.DESCRIPTOR, rng.choice(_FINE))
                batch.last_input.write_bytes(options)
                watch.outcomes[_outcome(backend, options, _latents(rng))] += 1
        finally:
            backend.close()
    watch.tell()


def _latents(rng: random.Random) -> Latents | None:
    if rng.random() < 0.3:
        return None
    latents = np.full(rng.choice(_SHAPES), 0.1, np.float32)
    if latents.size and rng.random() < 0.3:
        latents.flat[rng.randrange(latents.size)] = rng.choice(_VALUES)
    return latents


def _outcome(backend: Backend, options: bytes, latents: Latents | None) -> str:
    stream = _Stream()
    backend.generate(options, latents, {}, stream)
    assert stream.has_ended.wait(_SECONDS), "it never ended"
    error = stream.error
    if error is None:
        assert stream.num_sent > 0, "it ended without a word"
        return "OK"
    assert error.reason not in ("", "INTERNAL", "UNKNOWN"), f"{error!r} {error.__cause__!r}"
    assert {"value", "limit", "remedy"} <= set(error.metadata), f"the error tells too little: {error!r}"
    return error.reason


if __name__ == "__main__":
    main(Batch.of(sys.argv[1:]))
