"""The model's replies as people read them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPECIAL = re.compile(
    r"<\|[^|<>]*\|>|</?(?:role|audio|prompt|answer|edit|cot_text|gen_audio|gen_image|image|video)>"
    r"|<(?:audioPatch|framePatch|gen_audioPatch|imagePatch|gen_imagePatch|imageHere|audioHere|text|asr|tts"
    r"|end_of_chunk|end_of_audio)>|\[CLS\]|\[gMASK\]"
)
_WITHOUT_SPACES = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
MAX_LANGUAGE_CHARACTERS = 32
"""Longest name of a language, forced or written."""


@dataclass(frozen=True)
class Reply:
    """A transcription reply: the language as the model named it, or "", and the words."""

    language: str
    text: str


def strip_special(text: str) -> str:
    """The text without the model's special tokens."""
    return _SPECIAL.sub("", text)


def parse_reply(text: str, forced_language: str) -> Reply:
    """Reads `<Language>` TAB `<words>`; with a forced language the reply holds only the words."""
    words = strip_special(text)
    if forced_language:
        return Reply(forced_language, words.strip())
    language, tab, rest = words.partition("\t")
    if tab and len(language) <= MAX_LANGUAGE_CHARACTERS:
        return Reply(language.strip(), rest.strip())
    return Reply("", words.strip())


def join_texts(texts: list[str]) -> str:
    """Texts in a row: a space between them, except where either side is written without spaces."""
    joined = ""
    for text in filter(None, texts):
        joined += separator(joined, text) + text
    return joined


def separator(before: str, after: str) -> str:
    """What goes between two texts, the second not empty: a space, unless either side is written without spaces."""
    if not before or _WITHOUT_SPACES.match(before[-1]) or _WITHOUT_SPACES.match(after[0]):
        return ""
    return " "
