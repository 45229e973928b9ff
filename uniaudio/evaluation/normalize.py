"""Texts as the published scorers compare them."""

from __future__ import annotations

import re
import string
import unicodedata
from typing import Literal

from uniaudio.errors import InvalidInputError

Language = Literal["en", "zh"]

# The 82 characters that the published scorers count as Chinese punctuation.
_CHINESE_PUNCTUATION = (
    "\u00b7\u2013\u2014\u2018\u2019\u201b-\u201f\u2026\u2027\u3000-\u3003\u3008-\u3011\u3014-\u301f\u3030"
    "\u303e\u303f\ufe4f\ufe51\ufe54\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff64"
)
_DELETED = re.compile(f"[{re.escape(string.punctuation.replace(chr(39), ''))}{_CHINESE_PUNCTUATION}]")

_TAG = re.compile(r"<[^<>]*>")
_SKIPPED_AT_TOKEN_START = frozenset("!,?|、。！，；？：「」︰『』《》")
_SPACES = frozenset(" \t\r\n")

_EAST_ASIAN = (
    "\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9d"
    "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3\U00020000-\U0003ffff"
)
_LATIN = "A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_APART = re.compile(f"(?<=[{_EAST_ASIAN}])(?=[{_EAST_ASIAN}{_LATIN}])|(?<=[{_LATIN}])(?=[{_EAST_ASIAN}])")
_FREE_O = re.compile(r"(?<!\S)([Oo])'(?!\S)")
_CONTEXT_MARKS = re.compile(
    f"[{re.escape(string.punctuation.replace(chr(39), '').replace('-', ''))}"
    "\u00b7\u2010-\u2015\u2018-\u201f\u2026\u2027\u3001-\u3003\u3008-\u3011\u3014-\u301f\u3030\ufe30-\ufe4f"
    "\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]"
)


def normalize_seed_tts(text: str, language: Language) -> str:
    """The text as seed-tts-eval compares it (evaluation 1.1): words, or characters with spaces between.

    Double spaces become single ones once, not to a fixpoint; splitting drops what is left of them.
    """
    text = _DELETED.sub("", text).replace("  ", " ")
    return " ".join(text) if language == "zh" else text.lower()


def spoken_tokens(text: str, language: Language) -> list[str]:
    """Words of English, characters of Mandarin, as seed-tts-eval counts them: no punctuation, lower case."""
    return normalize_seed_tts(text, language).lower().split()


def scorer_tokens(text: str) -> list[str]:
    """Tokens of the published edit scorer's alignment tool, upper-cased (evaluation 1.2.4).

    An ideograph is a token; anything else runs on to the next space or non-ASCII character, so that English
    punctuation stays glued to its word unless it stands first.
    """
    text = _TAG.sub("", text)
    tokens = []
    start = 0
    while start < len(text):
        character = text[start]
        category = unicodedata.category(character)
        end = start + 1
        if character in _SKIPPED_AT_TOKEN_START or character in _SPACES or category in ("Zs", "Cn"):
            start = end
            continue
        if category != "Lo":
            while end < len(text) and ord(text[end]) < 128 and text[end] not in _SPACES:
                end += 1
        tokens.append(text[start:end].upper())
        start = end
    return tokens


def normalize_context_asr(text: str, language: Language) -> str:
    """The text as ContextASR-Bench compares it (evaluation 1.3), tokens by single spaces.

    English needs the package `contractions`; StartupError tells where it is missing.
    """
    if text.isupper():
        text = text.lower()
    if language == "en":
        text = _expand_contractions(_FREE_O.sub(r"\1", text))
    text = _CONTEXT_MARKS.sub(" ", text).replace("-", " ").replace("'", " ")
    words = _APART.sub(" ", text).split()
    return " ".join(_join_letters(words)).lower()


def _expand_contractions(text: str) -> str:
    from uniaudio.evaluation.packages import need

    fixed: str = need("contractions").fix(text, leftovers=False, slang=False)
    return fixed


def _join_letters(words: list[str]) -> list[str]:
    """Neighbouring one-letter words, and letters with a plural s, as one word each."""
    joined: list[str] = []
    previous_is_letter = False
    for word in words:
        is_letter = _is_letter(word)
        if is_letter and previous_is_letter:
            joined[-1] += word
        else:
            joined.append(word)
        previous_is_letter = is_letter
    return joined


def _is_letter(word: str) -> bool:
    is_cased = word[0].isupper() or word[0].islower()
    return is_cased and word[1:] in ("", "s", "'s")


def language_code(name: str) -> Language:
    """ "en" or "zh" of a language's code or English name; InvalidInputError for others."""
    known: dict[str, Language] = {
        "en": "en", "english": "en", "zh": "zh", "chinese": "zh", "mandarin": "zh",
    }  # fmt: skip
    if name.lower() not in known:
        raise InvalidInputError(
            f"language {name!r} has no scorer; give one of {', '.join(known)}", value=name, limit="en, zh"
        )
    return known[name.lower()]
