"""Measures of waveforms: 16 kHz mono float32 `(num_samples,)` unless said otherwise (evaluation 1.2.6, 1.5)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uniaudio.editing.f0 import track_f0
from uniaudio.evaluation.packages import need

Waveform = NDArray[np.float32]
SAMPLE_RATE = 16_000
_MAX_DELAY_SECONDS = 0.5


@dataclass(frozen=True)
class Measured:
    """A value, or None and the reason why there is none; never a stand-in."""

    value: float | None
    reason: str = ""


_SILENT = Measured(None, "one of the recordings is silent")


def duration_error(source_seconds: float, output_seconds: float, factor: float) -> float:
    """How far the output is from `source_seconds / factor`, as a part of the source's duration (RDE)."""
    return abs(output_seconds - source_seconds / factor) / source_seconds


def mean_amplitude(waveform: Waveform) -> float:
    """Mean absolute sample."""
    return float(np.abs(waveform, dtype=np.float64).mean())


def amplitude_error(source: Waveform, output: Waveform, factor: float) -> Measured:
    """How far the output's mean amplitude is from `factor` times the source's, as a part of that (RAE)."""
    loudness = mean_amplitude(source)
    if loudness == 0:
        return Measured(None, "the source is silent")
    return Measured(abs(mean_amplitude(output) - factor * loudness) / loudness)


def pitch_error(source: Waveform, output: Waveform, semitones: float) -> Measured:
    """Cents between the shift of the median F0 and the shift asked for, absolute."""
    medians = []
    for name, waveform in (("source", source), ("output", output)):
        f0 = track_f0(waveform)
        voiced = f0[~np.isnan(f0)]
        if voiced.size == 0:
            return Measured(None, f"the {name} has no voiced frame")
        medians.append(float(np.median(voiced)))
    return Measured(abs(1200 * float(np.log2(medians[1] / medians[0])) - 100 * semitones))


@dataclass(frozen=True)
class Aligned:
    """Two waveforms of one length; the degraded one came `delay_seconds` later and was moved back."""

    reference: Waveform
    degraded: Waveform
    delay_seconds: float


def remove_delay(reference: Waveform, degraded: Waveform) -> Aligned:
    """Both without the constant delay that their cross-correlation shows (0.5 s at most), cut to the shorter."""
    size = 1 << (len(reference) + len(degraded)).bit_length()
    spectrum = np.fft.rfft(degraded, size) * np.fft.rfft(reference, size).conj()
    correlation = np.fft.irfft(spectrum, size)
    reach = round(_MAX_DELAY_SECONDS * SAMPLE_RATE)
    lags = np.concatenate([np.arange(reach + 1), np.arange(-reach, 0)])
    delay = int(lags[int(np.argmax(correlation[lags]))])
    if delay > 0:
        degraded = degraded[delay:]
    else:
        reference = reference[-delay:]
    length = min(len(reference), len(degraded))
    return Aligned(reference[:length], degraded[:length], delay / SAMPLE_RATE)


def si_sdr(reference: Waveform, degraded: Waveform) -> Measured:
    """Scale-invariant signal-to-distortion ratio in dB of two waveforms of one length."""
    wanted, heard = (signal.astype(np.float64) - signal.mean() for signal in (reference, degraded))
    power = float(wanted @ wanted)
    if power == 0:
        return Measured(None, "the reference is silent")
    projected = (heard @ wanted / power) * wanted
    distortion = float(np.square(heard - projected).sum())
    if not projected.any():
        return Measured(None, "the output has nothing of the reference")
    return Measured(10 * float(np.log10(float(projected @ projected) / max(distortion, 1e-12 * power))))


def pesq_wideband(reference: Waveform, degraded: Waveform) -> Measured:
    """PESQ-wb, 1 to 4.64; it aligns time by itself. What it cannot judge has no value."""
    pesq = need("pesq")
    if not (reference.any() and degraded.any()):
        return _SILENT
    try:
        return Measured(float(pesq.pesq(SAMPLE_RATE, reference, degraded, "wb")))
    except pesq.PesqError as error:
        return Measured(None, f"PESQ found nothing to judge: {_first_words(error)}")


def stoi(reference: Waveform, degraded: Waveform) -> Measured:
    """Plain STOI, 0 to 1, of two waveforms of one length without delay."""
    pystoi = need("pystoi")
    if not (reference.any() and degraded.any()):
        return _SILENT
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = float(pystoi.stoi(reference, degraded, SAMPLE_RATE, extended=False))
    if caught or not np.isfinite(value):
        return Measured(None, "STOI found too little speech")
    return Measured(value)


def _first_words(error: Exception) -> str:
    content = error.args[0] if error.args else type(error).__name__
    return content.decode() if isinstance(content, bytes) else str(content)
