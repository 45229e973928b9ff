"""What judges heard, remembered on disk: a second scoring of the same recordings asks nobody again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniaudio.evaluation.judges import Judges, ModelCard, TextJudge, VoiceJudge
from uniaudio.evaluation.normalize import Language


class Hearing:
    """The judges with a memory, one line of JSON per answer; it is keyed by weights and by file."""

    def __init__(self, judges: Judges, memory: Path) -> None:
        self.judges = judges
        self._memory = memory
        self._known: dict[str, Any] = {}
        self._vectors: dict[str, NDArray[np.float32]] = {}
        if memory.is_file():
            for line in memory.read_text(encoding="utf-8").splitlines():
                # A line that was cut off when a run was killed is asked again.
                if line.endswith("}"):
                    entry = json.loads(line)
                    self._known[entry["key"]] = entry["value"]

    def words(self, judge: TextJudge, path: Path, language: Language) -> str:
        """What the recording says to this judge."""
        text: str = self._remembered(judge.card, path, language, lambda: judge.hear(path, language))
        return text

    def likeness(self, judge: VoiceJudge, first: Path, second: Path) -> float:
        """Cosine of the voices of two recordings."""
        return float(self.vector(judge, first) @ self.vector(judge, second))

    def vector(self, judge: VoiceJudge, path: Path) -> NDArray[np.float32]:
        """The voice of a recording as a unit vector."""
        key = _key(judge.card, path, "vector")
        if key not in self._vectors:
            self._vectors[key] = judge.embed(path)
        return self._vectors[key]

    def cleanness(self, path: Path) -> dict[str, float]:
        """DNSMOS of a recording; empty without that judge."""
        judge = self.judges.noise
        if judge is None:
            return {}
        scores: dict[str, float] = self._remembered(judge.card, path, "", lambda: judge.rate(path))
        return scores

    def _remembered(self, card: ModelCard, path: Path, detail: str, ask: Callable[[], Any]) -> Any:
        key = _key(card, path, detail)
        if key not in self._known:
            self._known[key] = ask()
            self._memory.parent.mkdir(parents=True, exist_ok=True)
            with self._memory.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "value": self._known[key]}, ensure_ascii=False) + "\n")
        return self._known[key]


def _key(card: ModelCard, path: Path, detail: str) -> str:
    state = path.stat()
    return f"{card.weights_sha256[:16]} {path.resolve()} {state.st_size} {state.st_mtime_ns} {detail}"
