"""Splits text into sentences that are spoken one by one, none longer than a limit."""

from __future__ import annotations

import re

_CLOSERS = "\"'”’」』）)》】]"
_ABBREVIATIONS = re.compile(
    "mrs?|ms|dr|prof|st|sr|jr|gen|col|sgt|capt|lt|rev|hon|vs|etc|inc|ltd|co|corp|dept|est|approx|nos?|figs?|vol"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|ave|blvd|rd|mt|ft|[a-z](?:\.[a-z])*"
)
_LONGEST = 16  # letters looked at before a full stop
# Better places to break a sentence that is too long come first.
_BREAKS = (
    re.compile(r"(?<=[;；:：—])|(?<=--)"),
    re.compile(r"(?<=[，、])|(?<=,)(?=\s)"),
    re.compile(r"\s"),
)


def split_sentences(text: str, max_characters: int) -> list[str]:
    """The sentences of an English or Chinese text, in order, none empty, none above `max_characters`.

    A full stop inside an abbreviation, a number or an address ends nothing; closing quotes stay with
    their sentence. Too long a sentence is broken after a semicolon or colon, else a comma, else a word,
    and at last anywhere. Raises ValueError for a limit below 1.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters is {max_characters}, at least 1 is needed")
    parts: list[str] = []
    for sentence in _sentences(text):
        parts += _break_up(sentence, max_characters)
    return parts


def _sentences(text: str) -> list[str]:
    sentences, start = [], 0
    for mark in re.finditer(rf"[.!?。！？…]+[{re.escape(_CLOSERS)}]*|\n\s*\n|\n", text):
        if mark[0][0] in ".!?" and not _ends_sentence(text, mark.start(), mark.end()):
            continue
        sentences.append(text[start : mark.end()])
        start = mark.end()
    sentences.append(text[start:])
    cleaned = (" ".join(sentence.split()) for sentence in sentences)
    return [sentence for sentence in cleaned if sentence]


def _ends_sentence(text: str, start: int, end: int) -> bool:
    """Whether the marks at `start` to `end` close a sentence."""
    if end == len(text):
        return True
    if text[start:end].endswith(tuple(_CLOSERS)) and re.match(r"\s[a-z]", text[end : end + 2]):
        return False
    if not text[end].isspace():
        return bool(re.match("[\u4e00-\u9fff]", text[end]))
    if text[start] != "." or text[start:end].startswith(".."):
        return True
    word = re.search(r"[\w.]*$", text[max(0, start - _LONGEST) : start])
    before = word[0].lower() if word else ""
    if _ABBREVIATIONS.fullmatch(before):
        # "Dr. Smith", "J. Smith" go on; "at 5 p.m. He left" ends where a capital follows a time.
        return before in ("a.m", "p.m", "etc") and bool(re.match(r"\s+[A-Z]", text[end:]))
    return True


def _break_up(sentence: str, max_characters: int) -> list[str]:
    parts, start = [], 0
    while len(sentence) - start > max_characters:
        end = start + _break_place(sentence[start : start + max_characters + 1], max_characters)
        parts.append(sentence[start:end].strip())
        start = end + (sentence[end] == " ")
    return [*parts, sentence[start:].strip()]


def _break_place(window: str, max_characters: int) -> int:
    """How many characters of the window to take: up to its last good place, or all that fit."""
    for separator in _BREAKS:
        places = (found.start() for found in separator.finditer(window))
        fitting = [place for place in places if 0 < place <= max_characters]
        if fitting:
            return fitting[-1]
    return max_characters
