"""Texts that are written at once, told as one text in their order."""

from __future__ import annotations

from collections import defaultdict

from services.orchestrator.replies import separator
from services.orchestrator.stages import Tell


class GrowingText:
    """Tells the pieces of text 0 while they come, then those of text 1, and so on, joined as `join_texts` does."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._current = 0
        self._ended: set[int] = set()
        self._kept: defaultdict[int, list[str]] = defaultdict(list)
        self._last = ""
        self._begins = True

    def feed(self, index: int, piece: str) -> None:
        """A piece of one of the texts; it is kept until all texts before have ended."""
        if index == self._current:
            self._take(piece)
        else:
            self._kept[index].append(piece)

    def end(self, index: int) -> None:
        """A text is over."""
        self._ended.add(index)
        while self._current in self._ended:
            self._current += 1
            self._begins = True
            for piece in self._kept.pop(self._current, []):
                self._take(piece)

    def _take(self, piece: str) -> None:
        if not piece:
            return
        self._tell((separator(self._last, piece) if self._begins else "") + piece)
        self._begins, self._last = False, piece
