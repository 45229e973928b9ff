"""Pitch by a vocoder that keeps the formants, and with them the voice. Waveforms are 16 kHz mono."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyworld

from uniaudio.audio.samples import Samples

FloatArray = npt.NDArray[np.float32]
_SAMPLE_RATE = 16_000
_FFT_SIZE = 1024
_F0_FLOOR, _F0_CEILING = 60.0, 800.0
_FRAME_MILLISECONDS = 5.0

# Long audio is worked on in pieces: what the vocoder holds grows with the piece (1.6 MB a second).
_PIECE = 20 * _SAMPLE_RATE
_SEARCH = 2 * _SAMPLE_RATE  # a piece ends at the quietest place of its last two seconds
_CONTEXT = _SAMPLE_RATE // 4
_FADE = _SAMPLE_RATE // 100
_QUIET = 1e-5  # below this peak a piece is silence, which the vocoder would fill with noise


def shift_pitch(waveform: FloatArray, semitones: float) -> FloatArray:
    """As many samples as given, the pitch of voiced speech `semitones` higher, formants unmoved.

    Unvoiced sounds and silence, which have no pitch, stay the source's own.
    """
    return np.concatenate([np.zeros(0, np.float32), *shift_pitch_pieces(waveform, semitones)])


def shift_pitch_pieces(samples: Samples, semitones: float) -> Iterator[FloatArray]:
    """What `shift_pitch` gives, piece by piece: memory does not grow with the recording."""
    start, waiting = 0, np.zeros(0, np.float32)
    while start < len(samples):
        end = _piece_end(samples, start)
        first, last = max(0, start - _CONTEXT), min(len(samples), end + _CONTEXT)
        piece = _shift_piece(samples[first:last], semitones)
        fade_in, fade_out = min(_FADE, start), min(_FADE, len(samples) - end)
        weighted = piece[start - fade_in - first : end + fade_out - first].copy()
        if fade_in:
            weighted[: 2 * fade_in] *= _ramp(2 * fade_in)
            weighted[: len(waiting)] += waiting
        if fade_out:
            weighted[-2 * fade_out :] *= _ramp(2 * fade_out)[::-1]
        kept = len(weighted) - 2 * fade_out
        yield weighted[:kept]
        start, waiting = end, weighted[kept:]


def _ramp(num_samples: int) -> FloatArray:
    return ((np.arange(num_samples) + 0.5) / num_samples).astype(np.float32)


def _piece_end(samples: Samples, start: int) -> int:
    """Where a piece ends: at most `_PIECE` samples on, cut where it is quiet."""
    if len(samples) - start <= _PIECE:
        return len(samples)
    window = samples[start + _PIECE - _SEARCH : start + _PIECE]
    energy = np.square(window.reshape(-1, 2 * _FADE)).sum(axis=1)
    return start + _PIECE - _SEARCH + int(energy.argmin()) * 2 * _FADE + _FADE


def _shift_piece(piece: FloatArray, semitones: float) -> FloatArray:
    if float(np.abs(piece).max(initial=0.0)) < _QUIET:
        return piece
    signal = np.pad(piece, (0, max(0, _CONTEXT - piece.size))).astype(np.float64)
    pitch, times = pyworld.harvest(
        signal, _SAMPLE_RATE, f0_floor=_F0_FLOOR, f0_ceil=_F0_CEILING, frame_period=_FRAME_MILLISECONDS
    )
    if not pitch.any():
        return piece
    envelope = pyworld.cheaptrick(signal, pitch, times, _SAMPLE_RATE, fft_size=_FFT_SIZE)
    noisiness = pyworld.d4c(signal, pitch, times, _SAMPLE_RATE, fft_size=_FFT_SIZE)
    voice = pyworld.synthesize(
        pitch * 2 ** (semitones / 12), envelope, noisiness, _SAMPLE_RATE, _FRAME_MILLISECONDS
    )[: piece.size]
    voice = np.pad(voice, (0, piece.size - voice.size))
    voiced = _voiced_weight(pitch, times, piece.size)
    return np.asarray(voiced * voice + (1 - voiced) * piece, np.float32)


def _voiced_weight(
    pitch: npt.NDArray[np.float64], times: npt.NDArray[np.float64], num_samples: int
) -> npt.NDArray[np.float64]:
    """1 where there is pitch, 0 where there is none, moving over some 30 ms outside the voiced part."""
    spread = 3
    frames = np.pad((pitch > 0).astype(np.float64), spread, mode="edge")
    soft = np.convolve(frames, np.ones(2 * spread + 1) / (2 * spread + 1), mode="valid")
    weight = np.interp(np.arange(num_samples) / _SAMPLE_RATE, times, np.minimum(1.0, 1.4 * soft))
    return np.asarray(weight, np.float64)
