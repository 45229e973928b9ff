"""The reference's text normaliser: Chinese rules for every text, also English, exactly as published.

It exists so that results can be compared. `uniaudio.text.normalize` is what people want.
"""

from __future__ import annotations

import re

from uniaudio.text.reference_chinese.rules import REPLACEMENTS

_FULL_TO_HALF = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_PREPARE = (
    (re.compile(r"(?<=\d),(?=\d)"), ""),
    (re.compile(r"[\n\t\r\f\v]+"), "，"),
    (re.compile("cm²|c㎡"), "平方厘米"),
    (re.compile("m²|㎡"), "平方米"),
    (re.compile(r">(?=\d)"), "大于"),
    (re.compile(r"<(?=\d)"), "小于"),
    (re.compile("="), "等于"),
    (re.compile(r"(?<=\d)mmHg"), "毫米汞柱"),
    (re.compile(r"(?<=\d)ml"), "毫升"),
    (re.compile(r"(\d元)-(?=\d+(?:\.\d+)?元)"), r"\1至"),
)
_CLEAN = (
    (re.compile("!"), "！"),
    (re.compile(r"\?"), "？"),
    (re.compile("[,:：、]"), "，"),
    (re.compile("[;；…~]"), "。"),
    (re.compile("_"), " "),
    (re.compile("/"), "每"),
    (re.compile("[^\u4e00-\u9fffA-Za-z 。！？，]"), ""),
    (re.compile("，+"), "，"),
    (re.compile("。+"), "。"),
    (re.compile(" +"), " "),
)


def normalize(text: str) -> str:
    """`text` as the reference would speak it: only Chinese, Latin letters, spaces and 。！？， remain."""
    text = text.translate(_FULL_TO_HALF)
    for pattern, replacement in _PREPARE:
        text = pattern.sub(replacement, text)
    for pattern, replace in REPLACEMENTS:
        text = pattern.sub(replace, text)
    for pattern, replacement in _CLEAN:
        text = pattern.sub(replacement, text)
    return text
