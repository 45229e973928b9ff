"""Feeds changed recordings to the decoder: `python -m tests.fuzz.intake FIRST COUNT SEED LAST_INPUT`."""

from __future__ import annotations

import random
import sys
from typing import NoReturn

import numpy as np

from tests.fuzz.mutations import mutated, recordings
from tests.fuzz.watching import Batch, Watch
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.errors import InvalidInputError

LIMITS = AudioLimits(max_encoded_bytes=1 << 20, max_seconds=20.0, max_decoded_samples=2_000_000)


def main(batch: Batch) -> None:
    """Every input gives a waveform within the limits, or an InvalidInputError; anything else ends the run."""
    watch = Watch()
    watch.begin()
    for number in batch.numbers:
        if batch.is_warm(number):
            watch.warm()
        rng = batch.random(number)
        content = mutated(rng, rng.choice(recordings()))
        batch.last_input.write_bytes(content)
        watch.outcomes[_outcome(rng, content)] += 1
    watch.tell()


def _outcome(rng: random.Random, content: bytes) -> str:
    encoding = AudioEncoding.AUTO if rng.random() < 0.9 else rng.choice(list(AudioEncoding))
    rate = 0 if rng.random() < 0.9 else rng.choice((0, -1, 1, 4_000, 16_000, 192_000, 2**31 - 1))
    channels = rng.choice((0, 0, 0, 1, 2, 9, -1))
    try:
        waveform = decode_audio(
            content, encoding=encoding, sample_rate=rate, num_channels=channels, limits=LIMITS
        )
    except InvalidInputError as error:
        return error.reason if {"value", "limit", "remedy"} <= set(error.metadata) else _fail(error)
    assert waveform.dtype == np.float32
    assert np.isfinite(waveform).all()
    assert len(waveform) <= (LIMITS.max_seconds + 1) * MODEL_SAMPLE_RATE
    return "OK"


def _fail(error: InvalidInputError) -> NoReturn:
    raise AssertionError(f"the error tells too little: {error!r} {error.metadata}")


if __name__ == "__main__":
    main(Batch.of(sys.argv[1:]))
