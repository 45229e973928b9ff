"""Numbers as people write them in instructions: digits, English words and Chinese numerals."""

from __future__ import annotations

import re

_UNITS = (
    ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    + ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
)  # fmt: skip
_TEN_WORDS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_TENS = {word: 10 * i for i, word in enumerate(_TEN_WORDS, 2)}
_CARDINALS = {word: i for i, word in enumerate(_UNITS)} | _TENS | {"a": 1, "an": 1, "couple": 2}
_IRREGULAR = {"first": 1, "second": 2, "third": 3, "fifth": 5, "eighth": 8, "ninth": 9, "twelfth": 12}
_ORDINALS = (
    {word + "th": i for i, word in enumerate(_UNITS) if i}
    | {word[:-1] + "ieth": value for word, value in _TENS.items()}
    | _IRREGULAR
)
_PARTS = {"half": 0.5, "halves": 0.5, "third": 1 / 3, "thirds": 1 / 3, "quarter": 0.25, "quarters": 0.25,
          "fifth": 0.2, "fifths": 0.2}  # fmt: skip
_DIGITS = re.compile(r"[+\-−]?(?:\d+(?:\.\d+)?|\.\d+)")
_FRACTION = re.compile(r"(\d+)\s*/\s*(\d+)")

_CHINESE_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "俩": 2, "仨": 3}
_CHINESE_TENS = {"十": 10, "百": 100, "千": 1000}
CHINESE_NUMERAL = "[零〇一二两俩仨三四五六七八九十百千点半]"


def parse_english_number(text: str) -> float | None:
    """The value of "3", "-2.5", "3/4", "twenty five", "one and a half", "a quarter"; None if it is none."""
    text = text.strip().lower().replace("−", "-").replace(",", "")
    if _DIGITS.fullmatch(text):
        return float(text)
    if fraction := _FRACTION.fullmatch(text):
        return int(fraction[1]) / int(fraction[2]) if int(fraction[2]) else None
    sign = 1.0
    for word, factor in (("minus ", -1.0), ("negative ", -1.0), ("plus ", 1.0)):
        if text.startswith(word):
            text, sign = text[len(word) :], factor
    value = _parse_english_words(text.replace("-", " ").split())
    return None if value is None else sign * value


def _parse_english_words(words: list[str]) -> float | None:
    if not words:
        return None
    if "point" in words:
        return _parse_english_decimal(words)
    if words[-1] in _PARTS:
        return _parse_english_parts(words)
    total, current, seen = 0.0, 0.0, False
    for word in words:
        if word in ("and", "of") and seen:
            continue
        if word == "hundred":
            current = (current or 1) * 100
        elif word in _CARDINALS:
            current += _CARDINALS[word]
        elif _DIGITS.fullmatch(word) and len(words) == 1:
            current += float(word)
        else:
            return None
        seen = True
    return total + current if seen else None


def _parse_english_decimal(words: list[str]) -> float | None:
    """Value of e.g. "one point two five"."""
    place = words.index("point")
    whole = _parse_english_words(words[:place]) if place else 0.0
    digits = [_CARDINALS.get(word, -1) for word in words[place + 1 :]]
    if whole is None or not digits or not all(0 <= digit <= 9 for digit in digits):
        return None
    return float(f"{whole:.0f}." + "".join(map(str, digits)))


def _parse_english_parts(words: list[str]) -> float | None:
    """Value of "half", "a quarter", "three quarters", "two and a half"."""
    part = _PARTS[words[-1]]
    head = words[:-1]
    if not head or head in (["a"], ["an"], ["one"]):
        return part
    if len(head) >= 3 and head[-2:] == ["and", "a"]:
        whole = _parse_english_words(head[:-2])
        return None if whole is None else whole + part
    count = _parse_english_words(head)
    return None if count is None else count * part


def parse_english_ordinal(text: str) -> int | None:
    """Position of "third", "3rd", "twenty-first"; "last" is -1, "second to last" is -2; None if it is none."""
    text = re.sub(r"[\s\-]+", " ", text.strip().lower())
    if text in ("last", "final", "very last"):
        return -1
    if text in ("next to last", "penultimate"):
        return -2
    if from_end := re.fullmatch(r"(.+?) (?:to|from) (?:the )?(?:last|end)", text):
        position = parse_english_ordinal(from_end[1])
        return None if position is None else -position
    if digits := re.fullmatch(r"(\d{1,6})(?:st|nd|rd|th)", text):
        return int(digits[1])
    tens, _, unit = text.partition(" ")
    if tens in _TENS and 1 <= _ORDINALS.get(unit, 0) <= 9:
        return _TENS[tens] + _ORDINALS[unit]
    return _ORDINALS.get("first" if text in ("very first", "initial") else text)


def parse_chinese_number(text: str) -> float | None:
    """The value of "0.8", "二十五", "一点五", "两", "半", "一个半", "三分之二"; None if it is none."""
    text = text.strip().replace("−", "-").replace("负", "-").replace("正", "").replace("个", "")
    if _DIGITS.fullmatch(text):
        return float(text)
    if fraction := _FRACTION.fullmatch(text):
        return int(fraction[1]) / int(fraction[2]) if int(fraction[2]) else None
    if text.startswith("-"):
        value = parse_chinese_number(text[1:])
        return None if value is None else -value
    if "分之" in text:
        below, _, above = text.partition("分之")
        numerator, denominator = parse_chinese_number(above), parse_chinese_number(below)
        return None if numerator is None or not denominator else numerator / denominator
    if text in ("半", "一半"):
        return 0.5
    if text.endswith("半"):
        whole = parse_chinese_number(text[:-1])
        return None if whole is None else whole + 0.5
    if "点" in text:
        whole_text, _, digits = text.partition("点")
        whole = _parse_chinese_integer(whole_text)
        if whole is None or not digits or any(c not in _CHINESE_DIGITS for c in digits):
            return None
        return float(f"{whole}." + "".join(str(_CHINESE_DIGITS[c]) for c in digits))
    integer = _parse_chinese_integer(text)
    return None if integer is None else float(integer)


def _parse_chinese_integer(text: str) -> int | None:
    if not text or any(c not in _CHINESE_DIGITS and c not in _CHINESE_TENS for c in text):
        return None
    if not any(c in _CHINESE_TENS for c in text):
        return int("".join(str(_CHINESE_DIGITS[c]) for c in text))
    total, digit = 0, None
    for character in text:
        if character in _CHINESE_TENS:
            total += (1 if digit is None else digit) * _CHINESE_TENS[character]
            digit = None
        else:
            digit = _CHINESE_DIGITS[character] or None
    return total + (digit or 0)
