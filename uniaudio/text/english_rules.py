"""What the library reads wrongly in English: money, years, versions, addresses, signs."""

from __future__ import annotations

import re
from collections.abc import Callable

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_GROUPS = ("", " thousand", " million", " billion", " trillion")
_CURRENCIES = {
    "$": ("dollar", "cent"), "€": ("euro", "cent"), "£": ("pound", "penny"), "¥": ("yuan", ""), "￥": ("yuan", ""),
}  # fmt: skip
_PLURALS = {"penny": "pence", "yuan": "yuan"}
_MONTHS = "january february march april may june july august september october november december"
_DECADES = {"ten": "tens", "zero": "hundreds"}


def cardinal(number: int) -> str:
    """A number below 10^15 in words: "one thousand two hundred thirty four"; a larger one digit by digit."""
    if number >= 1000 ** len(_GROUPS):
        return digits(str(number))
    groups = []
    for power in range(len(_GROUPS) - 1, -1, -1):
        group = number // 1000**power % 1000
        if group:
            groups.append(_below_thousand(group) + _GROUPS[power])
    return " ".join(groups) or "zero"


def _below_thousand(number: int) -> str:
    words = [f"{_ONES[number // 100]} hundred"] if number >= 100 else []
    rest = number % 100
    if 0 < rest < 20:
        words.append(_ONES[rest])
    elif rest:
        words.append(_TENS[rest // 10] + (f" {_ONES[rest % 10]}" if rest % 10 else ""))
    return " ".join(words)


def digits(text: str) -> str:
    """Digit by digit."""
    return " ".join(_ONES[int(digit)] for digit in text)


def decimal(text: str) -> str:
    """ "1,234.5" in words: "one thousand two hundred thirty four point five"."""
    whole, _, fraction = text.replace(",", "").partition(".")
    words = cardinal(int(whole or "0"))
    return f"{words} point {digits(fraction)}" if fraction else words


def _money(m: re.Match[str]) -> str:
    unit, small = _CURRENCIES[m["sign"]]
    whole, _, fraction = m["number"].replace(",", "").partition(".")
    if m["scale"]:
        return f"{decimal(m['number'])} {m['scale']} {_plural(unit, 2)}"
    words = f"{cardinal(int(whole))} {_plural(unit, int(whole))}"
    if len(fraction) == 2 and small:
        cents = int(fraction)
        if cents and not int(whole):
            return f"{cardinal(cents)} {_plural(small, cents)}"
        return words if not cents else f"{words} and {cardinal(cents)} {_plural(small, cents)}"
    return f"{decimal(m['number'])} {_plural(unit, 2)}" if fraction else words


def _plural(word: str, count: int) -> str:
    return word if count == 1 else _PLURALS.get(word, word + "s")


def _decade(m: re.Match[str]) -> str:
    """ "1990s" as "nineteen nineties", "2000s" as "two thousands"."""
    century, tens = int(m[1]), int(m[2])
    if tens == 0:
        return f"{cardinal(century)} hundreds" if century % 10 else f"{cardinal(century // 10)} thousands"
    word = _ONES[10] if tens == 1 else _TENS[tens]
    return f"{cardinal(century)} {word[:-1] + 'ies' if word.endswith('y') else word + 's'}"


def _address(m: re.Match[str]) -> str:
    """An URL without its scheme, letters as they are, signs named."""
    text = m[0]
    ending = ""
    while text and text[-1] in ".,;:!?)":
        text, ending = text[:-1], text[-1] + ending
    text = re.sub(r"^[a-z]+://", "", text, flags=re.IGNORECASE).rstrip("/")
    for sign, name in _SIGN_NAMES.items():
        text = text.replace(sign, f" {name} ")
    text = re.sub(r"\d+", lambda n: f" {digits(n[0])} ", text)
    return re.sub(r"\bwww\b", "w w w", " ".join(text.split()), flags=re.IGNORECASE) + ending


_SIGN_NAMES = {
    "@": "at", ".": "dot", "/": "slash", "-": "dash", "_": "underscore", "?": "question mark", "=": "equals",
    "&": "and", "#": "hash", ":": "colon", "%": "percent", "+": "plus", "~": "tilde",
}  # fmt: skip


def _version(m: re.Match[str]) -> str:
    return ("version " if m[1] else "") + " point ".join(cardinal(int(part)) for part in m[2].split("."))


def _telephone(m: re.Match[str]) -> str:
    return "plus " + ", ".join(digits(group) for group in re.findall(r"\d+", m[0]))


_UNIT = r"(?:k?m|c?m|mm|k?g|lbs?|mi|mph|km/h|[GMKT]B|k?W|ft|in|ml|l)"
_RULES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"(?:https?|ftp)://\S+|\bwww\.\S+", _address),
    (r"\b[\w.+\-]+@[\w\-]+(?:\.[\w\-]+)+", _address),
    (
        r"(?P<sign>[$€£¥￥])\s?(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)(?:\s(?P<scale>thousand|million|billion|trillion)\b)?",
        _money,
    ),
    (r"\b(\d{2})(\d)0s\b", _decade),
    (r"\b24/7\b", lambda m: "twenty four seven"),
    (r"\b50/50\b", lambda m: "fifty fifty"),
    (r"(?<![\w.])([vV])?(\d+(?:\.\d+){2})(?![\w.]\d)", _version),
    (r"\+\d[\d \-]{6,}\d", _telephone),
    (rf"(?<=\d),(?=\d{{3}}[\d,.]*\s?{_UNIT}\b)", lambda m: ""),
    (r"(?<![\w.,])\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,]*\d)", lambda m: decimal(m[0])),
    (r"(?<!\w)#\s?(\d+)", lambda m: "number " + cardinal(int(m[1]))),
    (r"\bNos?\.\s?(?=\d)", lambda m: "number "),
    (r"\bFigs?\.\s?(?=\d)", lambda m: "figure "),
    (r"\bpp?\.\s?(?=\d)", lambda m: "page "),
    (r"(\d)\s?m\b(?!\.?\s?[²³])", lambda m: m[1] + " meters"),
    (r"\+(?=\d)", lambda m: " plus "),
    (r"\b([A-Z][A-Za-z]*|[A-Z]+)-(?=\d)", lambda m: m[1] + " "),
)
_REPLACEMENTS = tuple((re.compile(pattern), replace) for pattern, replace in _RULES)
_MONTH_NAMES = re.compile(r"(?<=of )(" + "|".join(_MONTHS.split()) + r")\b")
_TITLES = re.compile(r"\b(doctor|mister)(?= [A-Z])")


def prepare(text: str) -> str:
    """Reads out what the library would get wrong, before it sees the text."""
    for pattern, replace in _REPLACEMENTS:
        text = pattern.sub(replace, text)
    return text


def clean(text: str) -> str:
    """Capitals for months and titles, which the library writes small."""
    text = _MONTH_NAMES.sub(lambda m: m[1].capitalize(), text)
    return _TITLES.sub(lambda m: m[1].capitalize(), text)
