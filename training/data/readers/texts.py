"""Transcripts as people write them: what corpora mark in their own ways, taken out or written plainly."""

from __future__ import annotations

import re

_LANGUAGES = {
    "ar": "Arabic", "ca": "Catalan", "cy": "Welsh", "de": "German", "en": "English", "es": "Spanish",
    "et": "Estonian", "fa": "Persian", "fr": "French", "id": "Indonesian", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "lv": "Latvian", "mn": "Mongolian", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese",
    "ru": "Russian", "sl": "Slovenian", "sv": "Swedish", "ta": "Tamil", "tr": "Turkish", "zh": "Chinese",
}  # fmt: skip
_CODES = {name: code for code, name in _LANGUAGES.items()}
_ANGLED = re.compile(r"<[^<>]*>")
_BRACKETED = re.compile(r"\[[^\[\]]*\]")
_WIDE_LETTERS = {wide: wide - 0xFEE0 for wide in (*range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))}
_WRITTEN_OUT = {" <COMMA>": ",", " <PERIOD>": ".", " <QUESTIONMARK>": "?", " <EXCLAMATIONPOINT>": "!"}
_VARIANT = re.compile(r"\(\d\)|\([^\s()]*\)\s*$|\{[^{}]*\}|<[^<>]*>|\[[^\[\]]*\]")
_LOOSE_SUFFIX = re.compile(r"(?<=\w) (?='\w)")


def language_name(code: str) -> str:
    """The English name of a language code, as the models are told it; an unknown code as it is."""
    return _LANGUAGES.get(code.lower().partition("-")[0], code)


def language_code(name: str) -> str:
    """The code of a language that is named so; a name that is not known as it is."""
    return _CODES.get(name, name)


def without_marks(text: str) -> str:
    """The text without `<...>` and `[...]`, wide Latin letters made narrow."""
    return _BRACKETED.sub("", _ANGLED.sub("", text)).translate(_WIDE_LETTERS)


def punctuated(text: str) -> str:
    """The text with its punctuation, which GigaSpeech names, as signs."""
    for name, sign in _WRITTEN_OUT.items():
        text = text.replace(name, sign)
    return text


def from_stm(text: str) -> str:
    """The text of an STM line: without noises, variants of pronunciation and names, suffixes joined."""
    return _LOOSE_SUFFIX.sub("", _VARIANT.sub("", text))
