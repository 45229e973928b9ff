"""From rows of manifests to padded batches of waveforms, by soundfile and soxr.

The plain input pipeline: the one that runs everywhere, and the oracle of the DALI one. What an item becomes:
its stretch in one channel at 16 kHz, and noise on top of it, at a ratio of mean powers over the stretch.
Nothing is clipped or scaled besides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.manifest import Row
from training.data.recording import read_mono
from training.data.utterance import Span, Utterance, Voice
from training.data.window import Window, looped, stretch
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.errors import InvalidInputError, LimitExceededError

HOP_LENGTH = 320
"""Samples of a frame at 16 kHz."""
MAX_BATCH_SAMPLES = 1 << 28


@dataclass(frozen=True, kw_only=True)
class Noise:
    """A recording to mix in, from `start_sample` (at 16 kHz) on, beginning again where it ends."""

    row: Row
    snr_db: float
    start_sample: int = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.snr_db):
            raise InvalidInputError(f"snr_db is {self.snr_db}; leave the noise out, or give a finite ratio")


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What to make of a row: `num_frames` frames from `start_frame` on (None: to its end), with noise."""

    start_frame: int = 0
    num_frames: int | None = None
    noise: Noise | None = None


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Samples `[start, stop)` of utterance `index` at 16 kHz, to its end for None.

    `number` is the item of the run that it is for, which chance (noise) depends on; None: as it is.
    """

    index: int
    start: int = 0
    stop: int | None = None
    number: int | None = None


@dataclass(frozen=True)
class AudioBatch:
    """`waveforms` `(B, T)` float32 at 16 kHz, zeros after each item's `lengths` `(B,)` int64 samples."""

    waveforms: Tensor
    lengths: Tensor


class BatchLoader(Protocol):
    """What both pipelines are: rows, and what to make of each, to a batch in the same order."""

    def __call__(self, rows: Sequence[Row], plan: Sequence[Cut]) -> AudioBatch: ...


def windows(rows: Sequence[Row], plan: Sequence[Cut]) -> list[tuple[Window, Window | None]]:
    """What to decode of each item and of its noise, all sizes checked; raises before anything is read."""
    if len(rows) != len(plan) or not rows:
        raise InvalidInputError(
            f"{len(rows)} rows and {len(plan)} cuts; give as many cuts as rows, at least one"
        )
    found: list[tuple[Window, Window | None]] = []
    for row, cut in zip(rows, plan, strict=True):
        count = None if cut.num_frames is None else cut.num_frames * HOP_LENGTH
        window = stretch(row, cut.start_frame * HOP_LENGTH, count)
        noise = cut.noise
        noise_window = None if noise is None else looped(noise.row, noise.start_sample, window.count)
        found.append((window, noise_window))
    size = len(found) * max(window.count for window, _ in found)
    if size > MAX_BATCH_SAMPLES:
        raise LimitExceededError(
            f"the padded batch would have {size} samples, the limit is {MAX_BATCH_SAMPLES}; take fewer or shorter items"
        )
    return found


def load_batch(rows: Sequence[Row], plan: Sequence[Cut]) -> AudioBatch:
    """The batch of these items. Raises InvalidInputError, InvalidAudioError or LimitExceededError."""
    waveforms = []
    for row, cut, (window, noise_window) in zip(rows, plan, windows(rows, plan), strict=True):
        waveform = load_window(row, window)
        if cut.noise is not None and noise_window is not None:
            waveform = mix(waveform, load_window(cut.noise.row, noise_window), cut.noise.snr_db)
        waveforms.append(waveform)
    return batch_of(waveforms)


def batch_of(waveforms: Sequence[NDArray[np.float32]]) -> AudioBatch:
    """Waveforms `(num_samples,)` as a batch, zeros after each."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms], dtype=torch.int64)
    batch = torch.zeros(len(waveforms), max(lengths.tolist(), default=0))
    for out, waveform in zip(batch, waveforms, strict=True):
        out[: len(waveform)] = torch.from_numpy(waveform)
    return AudioBatch(batch, lengths)


def load_window(row: Row, window: Window) -> NDArray[np.float32]:
    """The stretch `(window.count,)` at 16 kHz."""
    source = read_mono(row, window.source_start, window.source_count)
    whole = soxr.resample(source, row.sample_rate, MODEL_SAMPLE_RATE)[: window.num_available]
    end = window.skip + window.count
    repeated = np.tile(whole, -(-end // len(whole)))
    return np.asarray(repeated[window.skip : end], np.float32)


def mix(waveform: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float) -> NDArray[np.float32]:
    """Both `(num_samples,)`, the noise `snr_db` below; silence on either side leaves the waveform as it is."""
    power, noise_power = np.mean(np.square(waveform)), np.mean(np.square(noise))
    if noise_power == 0:
        return waveform
    gain = np.sqrt(power / noise_power) * 10 ** (-snr_db / 20)
    return np.asarray(waveform + gain * noise, np.float32)


def load_utterance(row: Row) -> Utterance:
    """The whole row as the synthetic corpus gives its own: at 16 kHz, words in samples, the speaker as voice."""
    words = tuple(
        Span(word, round(start * MODEL_SAMPLE_RATE), round(end * MODEL_SAMPLE_RATE))
        for word, start, end in row.words
    )
    return Utterance(
        text=row.text,
        voice=Voice(name=row.speaker or row.id, engine="recording", language=row.language),
        waveform=load_window(row, stretch(row)),
        words=words,
        sample_rate=MODEL_SAMPLE_RATE,
        language=row.language,
        recording=row.id,
    )
