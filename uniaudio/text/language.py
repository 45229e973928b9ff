"""Which language a text is written in, told from its script: Chinese, English, or neither."""

from __future__ import annotations

import enum
import re

_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_KANA_OR_HANGUL = re.compile("[\u3040-\u30ff\uac00-\ud7af]")
_LATIN_WORD = re.compile("[A-Za-z\u00c0-\u024f]+(?:['’][A-Za-z]+)*")
_ADDRESS = re.compile(r"(?:https?://|www\.)[\x21-\x7e]+|[\w.+\-]+@[A-Za-z0-9.\-]+", re.ASCII)
_OTHER_LETTER = re.compile("[^\\W\\d_A-Za-z\u00c0-\u024f]")


class Language(enum.Enum):
    """Languages that text can be normalised for; UNKNOWN is spoken as it is written."""

    ENGLISH = "en"
    CHINESE = "zh"
    UNKNOWN = ""


def detect_language(text: str) -> Language:
    """The language by script. A Chinese text may hold Latin words: one ideograph for every word tells.

    Kana or Hangul make a text neither; so do letters of other scripts when they prevail. A text without
    letters, such as "3.5", is English.
    """
    text = _ADDRESS.sub(" ", text)  # an address is no language
    if _KANA_OR_HANGUL.search(text):
        return Language.UNKNOWN
    num_ideographs = len(_HAN.findall(text))
    num_words = len(_LATIN_WORD.findall(text))
    num_others = len(_OTHER_LETTER.findall(text)) - num_ideographs
    if num_ideographs and 2 * num_ideographs >= num_words:
        return Language.CHINESE
    if num_others > sum(map(len, _LATIN_WORD.findall(text))):
        return Language.UNKNOWN
    return Language.ENGLISH
