"""An instruction made ready for the rules: quoted text lifted out, manners and punctuation dropped."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from uniaudio.editing.plan import Plan

# Every quoted text becomes one character of the private use area, so that rules need not look inside.
_FIRST = 0xE000
_MAX_QUOTES = 64
_MAX_CHARACTERS = 300  # outside quotes; bounds the time that patterns take
QUOTE = f"[{chr(_FIRST)}-{chr(_FIRST + _MAX_QUOTES - 1)}]"
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_CLOSING = {
    '"': '"', "'": "'", "`": "`'", "“": "”“\"", "‘": "’", "«": "»", "‹": "›", "「": "」", "『": "』",
    "﹁": "﹂", "＂": "＂", "＇": "＇", "„": "“”", "‚": "‘’", "〝": "〞〟", "’": "’", "”": "”",
}  # fmt: skip
_STRAY_QUOTE = re.compile("[\"“”„〝〞＂「」『』«»]|(?<![A-Za-z0-9])['‘’]")
_LATIN = re.compile(r"[A-Za-z0-9À-ɏ]")
_PREFIXES = re.compile(
    r"(?:(?:please|kindly|pls|hey|hi|hello|ok(?:ay)?|so|now|and|then|just|let'?s|(?:can|could|would|will)\s+(?:you|we)"
    r"|i\s+(?:want|need)\s+(?:you\s+)?to|i(?:'d|\s+would)\s+like\s+(?:you\s+)?to|help\s+me(?:\s+to)?|try\s+to)\b[,\s]*"
    r"|(?:请你?|麻烦你?|帮我|帮忙|可以|能不能|能否|能|可否|你能|你可以|我想要?|我要|给我|现在|那么|然后|并)[，,\s]*)",
    re.IGNORECASE,
)
_SUFFIXES = re.compile(
    r"[,，\s]*(?:(?<![A-Za-z])(?:please|pls|thanks|thank\s+you|for\s+me)|好吗|可以吗|行吗|吧|谢谢|一下|[.。!！?？;；~～])\s*$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Phrase:
    """`text` is what rules match; `quotes` are the quoted texts that its private characters stand for."""

    instruction: str
    text: str
    quotes: tuple[str, ...]

    def unquote(self, mark: str) -> str:
        """The quoted text that one private character stands for."""
        return self.quotes[ord(mark) - _FIRST]


@dataclass(frozen=True)
class Rule:
    """A wording: a pattern over the whole text, and what builds the plan from its named groups."""

    pattern: re.Pattern[str]
    build: Callable[..., Plan | None]

    def apply(self, phrase: Phrase) -> Plan | None:
        """The plan, or None when the wording is another one."""
        found = self.pattern.fullmatch(phrase.text)
        return self.build(phrase, **found.groupdict()) if found else None


def rule(pattern: str, build: Callable[..., Plan | None]) -> Rule:
    """A rule whose pattern ignores case."""
    return Rule(re.compile(pattern, re.IGNORECASE), build)


def read_phrase(instruction: str) -> Phrase | None:
    """The instruction made ready; None where it cannot be (private characters, too many or open quotes, too long)."""
    if _PRIVATE.search(instruction):
        return None
    text, quotes = _lift_quotes(" ".join(instruction.split()))
    if len(quotes) > _MAX_QUOTES:
        return None
    text = _drop_manners(text)
    if len(text) > _MAX_CHARACTERS or _STRAY_QUOTE.search(text):
        return None
    return Phrase(instruction, text, tuple(quotes))


def _drop_manners(text: str) -> str:
    before = None
    while before != text:
        before = text
        text = _SUFFIXES.sub(
            "", _PREFIXES.sub("", text.strip(), count=1) if _PREFIXES.match(text.strip()) else text
        )
    return text.strip()


def _lift_quotes(text: str) -> tuple[str, list[str]]:
    out: list[str] = []
    quotes: list[str] = []
    at = 0
    while at < len(text):
        end = _closing(text, at)
        if end is None:
            out.append(text[at])
            at += 1
            continue
        quotes.append(text[at + 1 : end].strip())
        out.append(chr(_FIRST + min(len(quotes), _MAX_QUOTES) - 1))
        at = end + 1
    return "".join(out), quotes


def _closing(text: str, at: int) -> int | None:
    """Where the quote that opens at `at` closes; None when nothing opens there.

    An apostrophe is no quote: a mark between two Latin letters neither opens nor closes.
    """
    closing = _CLOSING.get(text[at])
    if closing is None or (at > 0 and text[at] in "'’`" and _LATIN.match(text[at - 1])):
        return None
    for end in range(at + 1, len(text)):
        if text[end] in closing and not (
            text[end] in "'’`"
            and _LATIN.match(text[end - 1])
            and end + 1 < len(text)
            and _LATIN.match(text[end + 1])
        ):
            return end if text[at + 1 : end].strip() else None
    return None
