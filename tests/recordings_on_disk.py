"""Manifests of recordings that a test makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from tests.unit.training.data.speakers import VOICE, ListGrammar, ToneSpeaker
from training.data.manifest import Manifest, ManifestWriter, Row


def write_hums(
    path: Path, seconds: list[float], sample_rate: int = 16000, text: str = "Hum, höre!"
) -> Manifest:
    """A manifest of band-limited noise, silent at its ends, of these lengths."""
    rng = np.random.default_rng(len(seconds))
    with ManifestWriter(path) as manifest:
        for number, length in enumerate(seconds):
            count = round(length * sample_rate)
            spectrum = np.fft.rfft(rng.standard_normal(count))
            spectrum[np.fft.rfftfreq(count, 1 / sample_rate) > 5000] = 0
            ends = np.clip(np.minimum(np.arange(count), np.arange(count)[::-1]) / 800, 0, 1)
            audio = path.with_name(f"{path.stem}-{number}.wav")
            soundfile.write(audio, 0.1 * np.fft.irfft(spectrum, count) * ends, sample_rate)
            manifest.write(
                Row(
                    id=audio.stem, audio=audio, sample_rate=sample_rate, num_samples=count, corpus="hums",
                    split=path.stem, text=text, language="English", speaker="somebody",
                )
            )  # fmt: skip
    return Manifest(path)


def write_spoken(path: Path, count: int, *, num_speakers: int = 2, **changes: object) -> Manifest:
    """A manifest of tones with the times of their words, by speakers that take turns; `changes` are of every row."""
    rng, rate = np.random.default_rng(count), 16000
    with ManifestWriter(path) as manifest:
        for number in range(count):
            name = f"voice {number % num_speakers}"
            spoken = ToneSpeaker().speak(ListGrammar().sentence(rng), replace(VOICE, name=name))
            audio = path.with_name(f"{path.stem}-{number}.wav")
            soundfile.write(audio, spoken.waveform, rate, subtype="FLOAT")
            row = Row(
                id=audio.stem, audio=audio, sample_rate=rate, num_samples=spoken.waveform.size, corpus="tones",
                split=path.stem, text=spoken.text.capitalize() + ".", language="English", speaker=name,
                words=tuple((word.label.upper(), word.start / rate, word.end / rate) for word in spoken.words),
            )  # fmt: skip
            manifest.write(replace(row, **changes))
    return Manifest(path)
