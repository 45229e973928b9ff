"""An edit of words as text: what goes, what comes, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass

from training.data.triplets.triplet import Kind

Words = tuple[str, ...]
NEW_AUDIO = "<framePatch>"


@dataclass(frozen=True, kw_only=True)
class WordEdit:
    """`before` and `after` stay; `old` goes, `new` comes between them. One of the two may be empty."""

    before: Words
    old: Words
    new: Words
    after: Words

    @property
    def kind(self) -> Kind:
        if not self.old:
            return Kind.INSERT
        return Kind.SUBSTITUTE if self.new else Kind.DELETE

    @property
    def source(self) -> Words:
        """All words before the edit."""
        return self.before + self.old + self.after

    @property
    def target(self) -> Words:
        """All words after it."""
        return self.before + self.new + self.after

    @property
    def plan_text(self) -> str:
        """The target's text with the new words fenced."""
        return self._fenced(f"<edit>{' '.join(self.new)}</edit>")

    @property
    def reasoning(self) -> str:
        """The published form: one mask where new audio comes, an empty fence where something vanishes."""
        mark = NEW_AUDIO if self.new else ""
        return f"<cot_text>{self._fenced(f'<edit>{mark}</edit>')}</cot_text>"

    def _fenced(self, fence: str) -> str:
        return " ".join([*self.before, fence, *self.after])

    def anchor_before(self, length: int) -> Words | None:
        """The last `length` words before an insertion, if they name their place alone; else None."""
        return self._alone(self.before[len(self.before) - length :]) if length <= len(self.before) else None

    def anchor_after(self, length: int) -> Words | None:
        """The first `length` words after an insertion, if they name their place alone; else None."""
        return self._alone(self.after[:length]) if length <= len(self.after) else None

    @property
    def old_is_unique(self) -> bool:
        """Whether the words that go stand in the source once, so that quoting them is enough."""
        return bool(self.old) and occurrences(self.old, self.source) == 1

    def _alone(self, words: Words) -> Words | None:
        return words if words and occurrences(words, self.source) == 1 else None


def occurrences(words: Words, text: Words) -> int:
    """How often the words follow one another in the text."""
    return sum(text[at : at + len(words)] == words for at in range(len(text) - len(words) + 1))
