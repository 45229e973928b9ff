"""A transcription reply while the model writes it: words as soon as they can no longer change."""

from __future__ import annotations

from services.orchestrator.replies import MAX_LANGUAGE_CHARACTERS, parse_reply, strip_special

_BRACKETED = ("[CLS]", "[gMASK]")
_LONGEST_BRACKETED = max(map(len, _BRACKETED))


class GrowingReply:
    """Tells the new characters of the words; all of them in a row are what `parse_reply` makes of the whole."""

    def __init__(self, forced_language: str) -> None:
        self._forced_language = forced_language
        self._written = ""
        self._num_told = 0

    def feed(self, piece: str) -> str:
        """The characters of the words that are certain after this piece of the model's text, maybe none."""
        self._written += piece
        certain = self._written[: _open_special(self._written)]
        if not self._forced_language and not _is_language_known(certain):
            return ""
        return self._take(certain)

    def finish(self, whole: str) -> str:
        """The rest, now that the model has written `whole`."""
        return self._take(whole)

    def _take(self, text: str) -> str:
        # Spaces at the end may turn out to be the end, where they do not count.
        words = parse_reply(text, self._forced_language).text
        new = words[self._num_told :]
        self._num_told += len(new)
        return new


def _is_language_known(text: str) -> bool:
    """Whether a language stands before a tab, or too much stands there for one."""
    words = strip_special(text)
    return "\t" in words or len(words) > MAX_LANGUAGE_CHARACTERS


def _open_special(text: str) -> int:
    """Where a special token may have begun that is not complete yet; the text's length where none may."""
    angle = text.rfind("<")
    if angle >= 0 and ">" in text[angle:]:
        angle = -1
    bracket = text.rfind("[", max(len(text) - _LONGEST_BRACKETED, 0))
    if bracket >= 0 and not any(
        token.startswith(text[bracket:]) and token != text[bracket:] for token in _BRACKETED
    ):
        bracket = -1
    return min((place for place in (angle, bracket) if place >= 0), default=len(text))
