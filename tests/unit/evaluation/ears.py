"""Judges that know what they are to hear, a system that answers as told, and recordings to hear it in."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uniaudio.errors import ModelOutputError
from uniaudio.evaluation.bench import Bench
from uniaudio.evaluation.hearing import Hearing
from uniaudio.evaluation.judges import Judges, ModelCard
from uniaudio.evaluation.normalize import Language
from uniaudio.evaluation.recordings import read_recording, write_recording
from uniaudio.evaluation.systems import Outputs

RATE = 16_000


def card(metric: str) -> ModelCard:
    return ModelCard(role="fake", metric=metric, name="fake", revision="1", weights_sha256=metric * 4)


class Ear:
    """Hears the words that were said into a recording; counts how often it was asked."""

    suffix = "fake"
    languages: frozenset[Language] = frozenset({"en", "zh"})

    def __init__(self) -> None:
        self.card = card("wer_fake")
        self.words: dict[bytes, str] = {}
        self.num_asked = 0

    def say(
        self, path: Path, words: str, *, seconds: float = 1.0, f0: float = 150.0, level: float = 0.3
    ) -> Path:
        """Writes a buzz that no other words have, and remembers what it says."""
        times = np.arange(round(seconds * RATE)) / RATE
        phase = len(self.words)
        buzz = sum(np.sin(2 * np.pi * f0 * k * times + phase * k) / k for k in range(1, 20))
        syllables = np.clip(np.sin(2 * np.pi * 3 * times + 0.1), 0, None) ** 0.5
        waveform = level * buzz * syllables / 2.5
        write_recording(path, np.asarray(waveform, np.float32))
        self.words[path.read_bytes()] = words
        return path

    def hear(self, path: Path, language: Language) -> str:
        self.num_asked += 1
        return self.words.get(path.read_bytes(), "")


class VoiceEar:
    """Hears a voice by the name of its folder."""

    suffix = "fake"

    def __init__(self) -> None:
        self.card = card("sim_fake")

    def embed(self, path: Path) -> np.ndarray:
        vector = np.zeros(64, np.float32)
        vector[hash_of(path.parent.name)] = 1.0
        return vector


def hash_of(name: str) -> int:
    return sum(name.encode()) % 64


class System:
    """Gives back the source, or what `speaks` and `reads` hold; fails at what `fails` holds."""

    def __init__(self) -> None:
        self.reads: dict[str, str] = {}
        self.fails: set[str] = set()
        self.asked: list[str] = []

    def describe(self) -> dict[str, Any]:
        return {"model": "fake"}

    def transcribe(self, source: Path, context: Sequence[str] = ()) -> str:
        self._ask(source.stem)
        return self.reads.get(source.stem, "")

    def speak(self, text: str, prompt: Path | None, prompt_text: str) -> np.ndarray:
        self._ask(text)
        assert prompt is not None
        return read_recording(prompt)

    def edit(self, source: Path, instruction: str) -> np.ndarray:
        self._ask(instruction)
        return read_recording(source)

    def reconstruct(self, source: Path) -> np.ndarray:
        self._ask(source.stem)
        return read_recording(source)

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if what in self.fails:
            raise ModelOutputError(f"no audio for {what}")


def bench(
    folder: Path, ear: Ear | None = None, voice: VoiceEar | None = None, system: System | None = None
) -> Bench:
    """A bench over `folder/data` with outputs in `folder/outputs`."""
    judges = Judges(texts=() if ear is None else (ear,), voices=() if voice is None else (voice,))
    return Bench(
        data=folder / "data",
        out=folder / "out",
        outputs=Outputs(folder / "outputs", system),
        hearing=Hearing(judges, folder / "out" / "heard.jsonl"),
    )
