"""Written text becomes spoken words, in its own language."""

from __future__ import annotations

import pytest

from uniaudio.text.language import Language, detect_language
from uniaudio.text.normalize import normalize

pytest.importorskip("wetext")

ENGLISH = {
    "I have 1,234,567 views.": "I have one million two hundred thirty four thousand five hundred sixty seven views.",
    "It costs $20.": "It costs twenty dollars.",
    "It costs ￥20.": "It costs twenty yuan.",
    "$1,234.50": "one thousand two hundred thirty four dollars and fifty cents",
    "$1.5 million": "one point five million dollars",
    "It's 3.5 degrees.": "It's three point five degrees.",
    "I was born in 1990.": "I was born in nineteen ninety.",
    "the 1990s": "the nineteen nineties",
    "Don't panic; it's fine!": "Don't panic; it's fine!",
    "I have 3 apples": "I have three apples",
    "john.doe@example.com": "john dot doe at example dot com",
    "See https://www.example.com/a, please.": "See w w w dot example dot com slash a, please.",
    "on May 5th at 8:30": "on May fifth at eight thirty",
    "It is 12:30.": "It is twelve thirty.",
    "v2.5.1": "version two point five point one",
    "25%": "twenty five percent",
    "Dr. Smith, No. 5": "Doctor Smith, number five",
    "COVID-19": "COVID nineteen",
    "a 100m race": "a one hundred meters race",
    "3 → 5 😀": "three → five 😀",
    "Hi": "Hi",
}
CHINESE = {
    "我有1,234,567元": "我有一百二十三万四千五百六十七元",
    "价格￥20和$20": "价格二十元和二十美元",
    "￥1,234.50元": "一千二百三十四点五元",
    "气温3.5度": "气温三点五度",
    "我1990年出生": "我一九九零年出生",
    "他说don't": "他说don't",
    "邮箱john@example.com。": "邮箱john 艾特 example 点 com。",
    "看https://www.example.com/a吧": "看www 点 example 点 com 斜杠 a吧",
    "今天是2023-09-30": "今天是二零二三年九月三十日",
    "会议8:30开始": "会议八点三十分开始",
    "v2.5.1版本": "v二点五点一版本",
    "气温-5℃": "气温零下五摄氏度",
    "增长25%": "增长百分之二十五",
    "电话13800138000": "电话幺三八零零幺三八零零零",
    "我有2个苹果": "我有两个苹果",
    "你好，世界！": "你好，世界！",
}


@pytest.mark.parametrize(("text", "expected"), [*ENGLISH.items(), *CHINESE.items()])
def test_text_is_read_in_its_own_language(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_a_given_language_wins_over_the_script() -> None:
    assert normalize("25%", Language.CHINESE) == "百分之二十五"


def test_other_languages_pass_through() -> None:
    assert normalize("これは3です") == "これは3です"


def test_long_text_and_unknown_signs_are_read() -> None:
    text = "He paid $5 → twice. " * 60
    assert normalize(text) == ("He paid five dollars → twice. " * 60).strip()


def test_empty_text_stays_empty() -> None:
    assert normalize("  \n ") == ""


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello", Language.ENGLISH), ("你好", Language.CHINESE), ("我用iPhone 15打电话", Language.CHINESE),
        ("He said 你 to me as a joke", Language.ENGLISH), ("3.5", Language.ENGLISH), ("привет", Language.UNKNOWN),
        ("これは何ですか", Language.UNKNOWN), ("안녕", Language.UNKNOWN),
        ("看https://a.example.com/b/c吧", Language.CHINESE),
    ],
)  # fmt: skip
def test_language_is_told_from_the_script(text: str, language: Language) -> None:
    assert detect_language(text) is language
