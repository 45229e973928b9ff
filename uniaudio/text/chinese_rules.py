"""What the library reads wrongly in Chinese: money with a sign, versions, addresses, frost."""

from __future__ import annotations

import re
from collections.abc import Callable

from uniaudio.text.reference_chinese.numerals import read_digits, read_integer, read_number

_CURRENCIES = {"￥": "元", "¥": "元", "$": "美元", "€": "欧元", "£": "英镑"}
_SIGN_NAMES = {
    "@": "艾特", ".": "点", "/": "斜杠", "-": "杠", "_": "下划线", "?": "问号", "=": "等于", "&": "和",
    "#": "井号", ":": "冒号", "%": "百分号", "+": "加", "~": "波浪号",
}  # fmt: skip


def _money(m: re.Match[str]) -> str:
    return read_number(m["number"].replace(",", "")) + (m["scale"] or "") + _CURRENCIES[m["sign"]]


def _address(m: re.Match[str]) -> str:
    text = re.sub(r"^[a-z]+://", "", m[0], flags=re.IGNORECASE).rstrip("/.")
    for sign, name in _SIGN_NAMES.items():
        text = text.replace(sign, f" {name} ")
    text = re.sub(r"\d+", lambda n: read_digits(n[0]), text)
    return " ".join(text.split())


def _version(m: re.Match[str]) -> str:
    return m[1] + "点".join(read_integer(part) for part in m[2].split("."))


_URL_CHARACTERS = r"[\w.\-/?=&#%+~:@]"
_RULES: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (rf"(?:https?|ftp)://(?:(?![\u4e00-\u9fff]){_URL_CHARACTERS})+", _address),
    (rf"(?<![A-Za-z0-9])www\.(?:(?![\u4e00-\u9fff]){_URL_CHARACTERS})+", _address),
    (r"[A-Za-z0-9._+\-]+@[A-Za-z0-9\-]+(?:\.[A-Za-z0-9\-]+)+", _address),
    (
        r"(?P<sign>[￥¥$€£])\s?(?P<number>\d+(?:,\d{3})*(?:\.\d+)?)(?P<scale>[万亿]*)(?:元|块|美元|欧元|英镑)?",
        _money,
    ),
    (r"([vV]?)(?<![\d.])(\d+(?:\.\d+){2})(?![.\d])", _version),
    (r"(?<=\d),(?=\d{3}(?!\d))", lambda m: ""),
    (
        r"(?<![\dA-Za-z])[-−](\d+(?:\.\d+)?)\s?(℃|°C|摄氏度|度)",
        lambda m: f"零下{read_number(m[1])}{_degrees(m[2])}",
    ),
    (r"\+(?=\d)", lambda m: "加"),
    (r"#\s?(?=\d)", lambda m: "号"),
    (r"(?<=\d)\s?m²|㎡", lambda m: "平方米"),
)
_REPLACEMENTS = tuple((re.compile(pattern), replace) for pattern, replace in _RULES)


def _degrees(unit: str) -> str:
    return "摄氏度" if unit in ("℃", "°C", "摄氏度") else "度"


def prepare(text: str) -> str:
    """Reads out what the library would get wrong, before it sees the text."""
    for pattern, replace in _REPLACEMENTS:
        text = pattern.sub(replace, text)
    return text


def clean(text: str) -> str:
    """Nothing to mend after the library."""
    return text
