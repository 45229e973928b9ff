"""Recordings into waveforms beside the event loop, given up when the caller is gone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from services.orchestrator.domain import Floats, Recording
from uniaudio.audio.files import stream_audio
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.audio.samples import Samples, SpooledSamples
from uniaudio.errors import CancelledByCallerError, InvalidAudioError, LimitExceededError
from uniaudio.runtime.guard.meter import use_audio
from uniaudio.runtime.telemetry import span

T = TypeVar("T")


async def in_thread(work: Callable[[Callable[[], None]], T]) -> T:
    """The result of `work(check)` in a worker thread; `check` raises there once this task is cancelled."""
    gone = threading.Event()

    def check() -> None:
        if gone.is_set():
            raise CancelledByCallerError("the caller went away while its recording was worked on")

    try:
        return await asyncio.to_thread(work, check)
    except asyncio.CancelledError:
        gone.set()
        raise


async def read_recording(recording: Recording, limits: AudioLimits) -> Floats:
    """The waveform `(num_samples,)` at 16 kHz, counted against its caller's quota.

    Raises InvalidAudioError, LimitExceededError or QuotaExceededError.
    """
    async with read_samples(recording, limits) as samples:
        return samples[:]


@asynccontextmanager
async def read_samples(recording: Recording, limits: AudioLimits) -> AsyncGenerator[SpooledSamples, None]:
    """As `read_recording`, on a disk where it is long."""
    layout = recording.format
    with SpooledSamples() as samples:

        def read(check: Callable[[], None]) -> None:
            for block in stream_audio(
                recording.content,
                encoding=layout.encoding,
                sample_rate=layout.sample_rate,
                num_channels=layout.num_channels,
                limits=limits,
                check=check,
            ):
                samples.append(block)
            limits.check_long_enough(len(samples), MODEL_SAMPLE_RATE)

        with span("read_recording", size_bytes=len(recording.content)) as current:
            await in_thread(read)
            current.set_attribute("audio_seconds", seconds_of(samples))
            await use_audio(seconds_of(samples))
        yield samples


def seconds_of(waveform: Samples) -> float:
    """Length of a 16 kHz waveform."""
    return len(waveform) / MODEL_SAMPLE_RATE


def check_prompt_length(waveform: Floats, shortest: float = 0.5, longest: float = 30.0) -> None:
    """Raises InvalidAudioError or LimitExceededError for a prompt voice outside the seconds that help."""
    seconds = seconds_of(waveform)
    if shortest <= seconds <= longest:
        return
    error = InvalidAudioError if seconds < shortest else LimitExceededError
    raise error(
        f"the prompt voice lasts {seconds:.2f} s, allowed are {shortest:g} to {longest:g} s; "
        "send one or two sentences of clean speech",
        value=f"{seconds:.2f} s",
        limit=f"{shortest:g} to {longest:g} s",
        remedy="send one or two sentences of clean speech",
    )
