"""Arabic numerals read out in Chinese: as a value or digit by digit."""

from __future__ import annotations

_DIGITS = "零一二三四五六七八九"
_PLACES = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿", "亿亿")
_MAX_DIGITS = 4 * len(_GROUPS)


def read_digits(digits: str, *, telephone: bool = False) -> str:
    """Digit by digit; on the telephone 1 is 幺."""
    text = "".join(_DIGITS[int(digit)] for digit in digits)
    return text.replace("一", "幺") if telephone else text


def read_integer(digits: str) -> str:
    """The value of a string of digits: "1234" is 一千二百三十四, "10" is 十. Too long ones go digit by digit."""
    digits = digits.lstrip("0")
    if not digits:
        return "零"
    if len(digits) > _MAX_DIGITS:
        return read_digits(digits)
    text = ""
    for group in range((len(digits) - 1) // 4, -1, -1):
        end = len(digits) - 4 * group
        part = digits[max(0, end - 4) : end]
        if not part.strip("0"):
            continue
        if text and (part.startswith("0") or text.endswith("零")):
            text = text.rstrip("零") + "零"
        text += _read_group(part) + _GROUPS[group]
    return text.removeprefix("一") if text.startswith("一十") else text


def _read_group(digits: str) -> str:
    """Up to four digits; a zero between two digits is read once, leading and trailing ones not at all."""
    text, gap = "", False
    for place, digit in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        if digit == "0":
            gap = bool(text)
            continue
        text += ("零" if gap else "") + _DIGITS[int(digit)] + _PLACES[place]
        gap = False
    return text


def read_number(number: str) -> str:
    """The value of "12", "3.50" (三点五) or ".5" (零点五)."""
    whole, _, decimals = number.partition(".")
    decimals = decimals.rstrip("0")
    text = read_integer(whole)
    return f"{text}点{read_digits(decimals)}" if decimals else text


def read_quantity(digits: str) -> str:
    """As `read_integer`, with the 两 that stands before measure words: "2" is 两, "250" is 两百五十."""
    text = read_integer(digits)
    if text == "二" or text[:2] in ("二百", "二千", "二万", "二亿"):
        return "两" + text[1:]
    return text
