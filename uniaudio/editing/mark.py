"""Where an edit of words goes, in the form that the published model writes before it speaks.

It is the source's transcript with one mark: `<edit><framePatch></edit>` where new words come, an empty
`<edit></edit>` where words only vanish (model specification 6.5). The new words stand in the instruction.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EditMark:
    """The words that stay before and after the edit, with the spaces that part them from it."""

    before: str
    after: str
    adds_speech: bool

    @property
    def reasoning(self) -> str:
        """The text as the model would write it."""
        new_audio = "<framePatch>" if self.adds_speech else ""
        return f"<cot_text>{self.before}<edit>{new_audio}</edit>{self.after}</cot_text>"
