"""An inaudible mark in synthetic speech: a keyed pattern of small gains over time and frequency.

The spectrum from 1 to 7.5 kHz is divided into cells of 48 ms and 125 Hz. Each cell is made a little louder or
softer, as a sign says that only the key's holder knows; smoothing across frequency keeps the filter short, so
that nothing is heard between harmonics. Gains follow the sound, so silence stays silence, and the mark
lives in magnitudes alone: a shift in time, another sample rate or a codec leaves it there. What the filter spreads
before an onset and behind an end is kept below the sound that is there, as it would be heard in the clean
silence of synthetic speech.

The pattern repeats every 1.92 s. Two bands of three find the mark; every third one carries 16 bits.
`uniaudio.audio.watermark_detector` reads it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from uniaudio.errors import InvalidInputError

FRAME_SAMPLES = 512
HOP_SAMPLES = 256
CELL_FRAMES = 3
CELL_BINS = 4
NUM_CELLS = 40
"""Cells of one period of the pattern, along time."""
FIRST_BIN = 32
NUM_BANDS = 52
DATA_BANDS = np.arange(NUM_BANDS) % 3 == 2
"""Which bands carry the payload; the others find the mark."""
PAYLOAD_BITS = 16

_LOW_BANDS = 22  # below 3.75 kHz, where single harmonics can be heard
_LOW_DECIBELS, _HIGH_DECIBELS = 2.3, 3.5
_SMOOTHING = np.array([1, 2, 3, 2, 1]) / 9
_BLOCK_SAMPLES = 1 << 16
_NEAR_STEPS = 6
_NEAR_SAMPLES = 1 << _NEAR_STEPS  # 4 ms, in which what is added has no higher peak than the sound itself
_LEAST_PEAK = 1e-30
_MIN_SECRET_BYTES = 16

WINDOW: NDArray[np.float64] = np.sin(np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
"""Root of a Hann window: applied twice at half overlap it adds up to one."""


@dataclass(frozen=True)
class WatermarkKey:
    """What makes the pattern. Who has `secret` can find the mark, and also forge or remove it."""

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) < _MIN_SECRET_BYTES:
            raise InvalidInputError(
                f"a watermark key of {len(self.secret)} bytes can be guessed; use at least {_MIN_SECRET_BYTES}",
                value=f"{len(self.secret)} bytes",
                limit=f"at least {_MIN_SECRET_BYTES} bytes",
                remedy="make a longer one from a random source",
            )

    @property
    def key_id(self) -> str:
        """Names the key without telling it: 8 hexadecimal digits."""
        return hashlib.sha256(b"uniaudio watermark key id\0" + self.secret).hexdigest()[:8]

    def signs(self) -> NDArray[np.float64]:
        """The pattern `(NUM_CELLS, NUM_BANDS)`, each cell +1 or -1."""
        num_cells = NUM_CELLS * NUM_BANDS
        stream = hashlib.shake_256(b"uniaudio watermark pattern\0" + self.secret).digest(num_cells // 8)
        bits = np.unpackbits(np.frombuffer(stream, np.uint8))
        return np.asarray(2.0 * bits - 1.0).reshape(NUM_CELLS, NUM_BANDS)


def payload_places() -> NDArray[np.int64]:
    """Which bit of the payload each cell of the data bands carries, `(NUM_CELLS, number of data bands)`."""
    num_places = NUM_CELLS * int(DATA_BANDS.sum())
    return (np.arange(num_places) % PAYLOAD_BITS).reshape(NUM_CELLS, -1)


def signs_with_payload(key: WatermarkKey, payload: int) -> NDArray[np.float64]:
    """The pattern `(NUM_CELLS, NUM_BANDS)` that is embedded: data bands turned over where a bit is 0."""
    bits = check_payload(payload) >> np.arange(PAYLOAD_BITS) & 1
    signs = key.signs()
    signs[:, DATA_BANDS] *= 2.0 * bits[payload_places()] - 1.0
    return signs


class Marker:
    """Marks a 16 kHz waveform that comes in pieces; the pieces given, put end to end, are the marked waveform.

    At most 34 ms are held back until more comes or `finish` ends it. However it is cut, the result has the
    same bits. `position` is the sample of the whole answer at which the waveform begins: ranges of one answer
    that are marked apart then share one pattern. `payload` is a number of 16 bits.
    """

    def __init__(self, key: WatermarkKey, *, payload: int = 0, position: int = 0) -> None:
        self._gains = _gains(key, payload)
        self._frame = position // HOP_SAMPLES
        self._skip = position % HOP_SAMPLES
        self._waiting = np.zeros(HOP_SAMPLES + self._skip)
        self._overlap = np.zeros(HOP_SAMPLES)
        self._sound = self._change = np.zeros(_NEAR_SAMPLES // 2)
        self._is_first = True
        self._num_due = 0

    def feed(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        """The samples that are known after these `(num_samples,)`; may be none."""
        self._num_due += len(waveform)
        blocks = range(0, len(waveform), _BLOCK_SAMPLES)
        return _joined([self._advance(waveform[start : start + _BLOCK_SAMPLES]) for start in blocks])

    def finish(self) -> NDArray[np.float32]:
        """The rest; nothing may be fed afterwards."""
        due = self._num_due
        return self._advance(np.zeros(2 * FRAME_SAMPLES, np.float32))[:due]

    def _advance(self, waveform: NDArray[np.float32]) -> NDArray[np.float32]:
        waiting = np.concatenate([self._waiting, waveform])
        num_frames = max(0, len(waiting) // HOP_SAMPLES - 1)
        num_known = num_frames * HOP_SAMPLES
        self._waiting = waiting[num_known:]
        if num_frames == 0:
            return np.zeros(0, np.float32)
        sound, shaped = waiting[:num_known], self._shaped(waiting, num_frames)
        if self._is_first:  # before the first sample lies a hop of nothing, and what aligns the grid
            sound, shaped, self._is_first = sound[HOP_SAMPLES:], shaped[HOP_SAMPLES:], False
        return self._without_alignment(self._restrained(sound, shaped - sound))

    def _shaped(self, waiting: NDArray[np.float64], num_frames: int) -> NDArray[np.float64]:
        """The gains on the frames that are whole, `(num_frames * HOP_SAMPLES,)`."""
        frames = np.lib.stride_tricks.sliding_window_view(waiting, FRAME_SAMPLES)[::HOP_SAMPLES][:num_frames]
        cells = (self._frame + np.arange(num_frames)) // CELL_FRAMES % NUM_CELLS
        self._frame += num_frames
        spectra = np.fft.rfft(frames * WINDOW, axis=1) * self._gains[cells]
        shaped = np.fft.irfft(spectra, FRAME_SAMPLES, axis=1) * WINDOW
        early, late = shaped[:, :HOP_SAMPLES], shaped[:, HOP_SAMPLES:]
        whole = early + np.concatenate([self._overlap[None], late[:-1]])
        self._overlap = late[-1]
        return np.asarray(whole.reshape(-1))

    def _restrained(self, sound: NDArray[np.float64], change: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sound with as much of the change as is no louder than itself, half of `_NEAR_SAMPLES` late."""
        sound, change = np.concatenate([self._sound, sound]), np.concatenate([self._change, change])
        self._sound, self._change = sound[1 - _NEAR_SAMPLES :], change[1 - _NEAR_SAMPLES :]
        there, added = _peaks_around(sound), _peaks_around(change)
        share = np.minimum(there, added) / np.maximum(added, _LEAST_PEAK)
        known = slice(_NEAR_SAMPLES // 2, _NEAR_SAMPLES // 2 + len(share))
        return np.asarray(sound[known] + share * change[known])

    def _without_alignment(self, samples: NDArray[np.float64]) -> NDArray[np.float32]:
        dropped = min(self._skip, len(samples))
        self._skip -= dropped
        known = samples[dropped:].astype(np.float32)
        self._num_due -= len(known)
        return known


def embed(
    waveform: NDArray[np.float32], key: WatermarkKey, *, payload: int = 0, position: int = 0
) -> NDArray[np.float32]:
    """The marked waveform `(num_samples,)`, the same as `Marker` gives piece by piece."""
    marker = Marker(key, payload=payload, position=position)
    return np.concatenate([marker.feed(waveform), marker.finish()])


def check_payload(payload: int) -> int:
    """`payload`, where it is one; raises InvalidInputError otherwise."""
    if not 0 <= payload < 1 << PAYLOAD_BITS:
        raise InvalidInputError(
            f"a watermark's payload is {payload}; it has {PAYLOAD_BITS} bits, so use 0 to {(1 << PAYLOAD_BITS) - 1}",
            value=payload,
            limit=f"0 to {(1 << PAYLOAD_BITS) - 1}",
            remedy="use a number inside",
        )
    return payload


def _gains(key: WatermarkKey, payload: int) -> NDArray[np.float64]:
    """Factors `(NUM_CELLS, num_bins)` of each cell's spectra."""
    signs = signs_with_payload(key, payload)
    signs[:, :_LOW_BANDS] *= _LOW_DECIBELS
    signs[:, _LOW_BANDS:] *= _HIGH_DECIBELS
    decibels = np.zeros((NUM_CELLS, FRAME_SAMPLES // 2 + 1))
    decibels[:, FIRST_BIN : FIRST_BIN + NUM_BANDS * CELL_BINS] = np.repeat(signs, CELL_BINS, axis=1)
    smooth = np.stack([np.convolve(row, _SMOOTHING, mode="same") for row in decibels])
    return np.asarray(10.0 ** (smooth / 20.0))


def _peaks_around(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest magnitude of each `_NEAR_SAMPLES` neighbours, `(num_samples - _NEAR_SAMPLES + 1,)` or none."""
    peaks = np.abs(samples)
    for step in range(_NEAR_STEPS):
        reach = 1 << step
        peaks = np.maximum(peaks[:-reach], peaks[reach:])
    return peaks


def _joined(pieces: list[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
