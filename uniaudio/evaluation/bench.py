"""What every suite works with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from uniaudio.evaluation.hearing import Hearing
from uniaudio.evaluation.judges import NO_TEXT_JUDGE, NO_VOICE_JUDGE
from uniaudio.evaluation.normalize import Language
from uniaudio.evaluation.results import Item, Value, mean
from uniaudio.evaluation.systems import Outputs

T = TypeVar("T")
Context = Literal["none", "coarse", "fine"]


def _quiet(_text: str, _fraction: float | None) -> None:
    """For callers that want no progress."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Data, outputs under evaluation, judges, and how far to go.

    `limit` takes the first items of each task only; `recordings` are real recordings to reconstruct;
    `context` is what ContextASR-Bench tells the system beforehand.
    """

    data: Path
    out: Path
    outputs: Outputs
    hearing: Hearing
    limit: int | None = None
    recordings: Path | None = None
    context: Context = "fine"
    report: Callable[[str, float | None], None] = field(default=_quiet)

    def each(self, title: str, items: Iterable[T]) -> Iterator[T]:
        """The items, one by one, with progress; at most `limit` of them."""
        chosen = list(items)[: self.limit]
        for number, item in enumerate(chosen):
            self.report(f"{title}, {number + 1} of {len(chosen)}", number / len(chosen))
            yield item

    def settings(self) -> dict[str, Any]:
        """What was asked, for the report."""
        system = self.outputs.system
        return {
            "data": str(self.data),
            "outputs": str(self.outputs.folder),
            "system": system.describe() if system is not None else "a folder of outputs",
            "limit": self.limit,
            "recordings": str(self.recordings) if self.recordings else None,
        }

    def models(self) -> list[dict[str, Any]]:
        """Who judged."""
        return [card.describe() for card in self.hearing.judges.cards()]

    def heard(self, path: Path | None, language: Language) -> dict[str, str | None]:
        """What each recogniser of the language hears, by its suffix; None where there is no recording."""
        return {
            judge.suffix: None if path is None else self.hearing.words(judge, path, language)
            for judge in self.hearing.judges.hearing(language)
        }

    def likenesses(self, first: Path | None, second: Path | None) -> dict[str, Value]:
        """`sim_<suffix>` of two recordings by each judge of voices."""
        return {
            f"sim_{judge.suffix}": None
            if first is None or second is None
            else self.hearing.likeness(judge, first, second)
            for judge in self.hearing.judges.voices
        }

    def absent(self, language: Language) -> dict[str, str]:
        """Metrics that have no judge, and what to do about it."""
        reasons = {}
        if not self.hearing.judges.hearing(language):
            reasons["wer"] = NO_TEXT_JUDGE
        if not self.hearing.judges.voices:
            reasons["sim"] = NO_VOICE_JUDGE
        return reasons

    def suffixes(self, language: Language) -> list[str]:
        """Of the recognisers of a language."""
        return [judge.suffix for judge in self.hearing.judges.hearing(language)]

    def sims(self) -> list[str]:
        """Names of the likenesses that are measured."""
        return [f"sim_{judge.suffix}" for judge in self.hearing.judges.voices]


def mean_of(items: Sequence[Item], metric: str) -> Value:
    """Mean of a metric over the items that have it."""
    return mean([item.values.get(metric) for item in items])
