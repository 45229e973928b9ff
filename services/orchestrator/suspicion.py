"""Speech that cannot be right: too short for its text, or silent. What is held back can be made anew."""

from __future__ import annotations

import math

from services.orchestrator.domain import Floats
from services.orchestrator.recordings import seconds_of
from services.orchestrator.windows import frame_levels

_SECONDS_PER_IDEOGRAPH = 0.06
_SECONDS_PER_LETTER = 0.02
_AUDIBLE_LEVEL = 10 ** (-55 / 20)
"""Root mean square of the loudest 20 ms, relative to full scale; speech lies 20 dB above and more."""


def shortest_plausible_seconds(text: str) -> float:
    """Less than the fastest speakers need for a text: below it, words are missing."""
    letters = [char for char in text if char.isalnum()]
    ideographs = sum(1 for char in letters if "\u3040" <= char <= "\u9fff" or "\uac00" <= char <= "\ud7a3")
    return _SECONDS_PER_IDEOGRAPH * ideographs + _SECONDS_PER_LETTER * (len(letters) - ideographs)


class Holdback:
    """Keeps the first sound of a sentence until it is plausible; then everything passes.

    `plausible_seconds` must be there, at most `max_held_seconds` are kept for that, and something must
    be audible. What never became plausible stays in `held`, as does all that `keeps_all`.
    """

    def __init__(self, plausible_seconds: float, max_held_seconds: float, *, keeps_all: bool = False) -> None:
        self.plausible_seconds = plausible_seconds
        self._needed_seconds = min(plausible_seconds, max_held_seconds)
        self._keeps_all = keeps_all
        self.held: list[Floats] = []
        self.seconds = 0.0
        self.is_audible = False
        self.is_released = False

    @property
    def missing_seconds(self) -> float:
        """Before so much more sound is there nothing may go on."""
        return math.inf if self._keeps_all else max(0.0, self._needed_seconds - self.seconds)

    def feed(self, piece: Floats) -> list[Floats]:
        """The pieces `(num_samples,)` that may go on now."""
        self.seconds += seconds_of(piece)
        if self.is_released:
            return [piece]
        self.held.append(piece)
        levels = frame_levels(piece)
        self.is_audible = self.is_audible or bool(len(levels) and levels.max() >= _AUDIBLE_LEVEL)
        if self._keeps_all or not self.is_audible or self.seconds < self._needed_seconds:
            return []
        self.is_released = True
        ready, self.held = self.held, []
        return ready

    def complaint(self) -> str:
        """What is wrong with the sound now that the sentence is over, or ""."""
        if not self.is_audible:
            return f"came out silent ({self.seconds:.1f} s)"
        if self.seconds < self.plausible_seconds:
            return f"came out short ({self.seconds:.1f} s, at least {self.plausible_seconds:.1f} s expected)"
        return ""
