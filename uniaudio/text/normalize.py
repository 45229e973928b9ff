"""Text as it is written to text as it is spoken: numbers, dates, money, units, addresses in words.

English and Chinese, by the rules of the wetext library, with ours before and after it for what it reads
wrongly. Other languages pass through.
"""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from typing import Any

from uniaudio.text import chinese_rules, english_rules
from uniaudio.text.language import Language, detect_language

_SPACES = re.compile(r"[ \t\u00a0\u3000]+")
_SPOKEN_OTHERWISE = re.compile(r"[\d$€£¥￥%℃℉°&@+=]|\b(?:Dr|Mr|Mrs|Ms|Prof|St)\.")
_MAX_PIECE = 400  # characters; the library's time grows faster than its input
_LIBRARY_LOCK = threading.Lock()  # it does not promise to be called from several threads


def normalize(text: str, language: Language | None = None) -> str:
    """`text` in words, in its own language (or the one given); sentence marks and apostrophes stay.

    Loads its grammars on the first call (about a second) and is safe to call from several threads.
    """
    language = language or detect_language(text)
    text = _SPACES.sub(" ", text).strip()
    if language is Language.UNKNOWN or not text:
        return text
    rules = chinese_rules if language is Language.CHINESE else english_rules
    spoken = "".join(_read_piece(piece, language) for piece in _pieces(rules.prepare(text)))
    return _SPACES.sub(" ", rules.clean(spoken)).strip()


def _pieces(text: str) -> list[str]:
    """The text in parts of bounded length, cut after sentence marks or spaces."""
    pieces = []
    while len(text) > _MAX_PIECE:
        window = text[:_MAX_PIECE]
        cut = max(window.rfind(mark) for mark in "!?。！？；;\n， ") + 1 or _MAX_PIECE
        pieces.append(text[:cut])
        text = text[cut:]
    return [*pieces, text]


def _read_piece(piece: str, language: Language) -> str:
    """The piece through the library, where it holds anything that is not spoken as written."""
    if not _SPOKEN_OTHERWISE.search(piece):
        return piece
    lead, tail = piece[: len(piece) - len(piece.lstrip())], piece[len(piece.rstrip()) :]
    read = _library(language)
    with _LIBRARY_LOCK:
        try:
            return lead + read(piece.strip()) + tail
        except AssertionError:
            # The library fails on a whole text for one sign it does not know.
            return lead + " ".join(_read_word(word, read) for word in piece.split()) + tail


def _read_word(word: str, read: Callable[[str], str]) -> str:
    if not _SPOKEN_OTHERWISE.search(word):
        return word
    try:
        return read(word)
    except AssertionError:
        known = re.sub(r"[^\w.,;:!?'’\"。，！？；：、]+", " ", word).strip()
        return read(known) if known else ""


@functools.cache
def _library(language: Language) -> Callable[[str], str]:
    from wetext import Normalizer

    normalizer: Any = Normalizer(lang=language.value)  # type: ignore[no-untyped-call]

    def read(text: str) -> str:
        return str(normalizer.normalize(text))

    return read
