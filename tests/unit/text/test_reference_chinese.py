"""The reference's Chinese mode is the published one, character by character."""

from __future__ import annotations

import json

import pytest

from uniaudio.text.reference_chinese import normalize
from uniaudio.text.reference_chinese.numerals import read_integer, read_quantity

PUBLISHED = {
    "1928年11月，成立于武昌。": "一九二八年十一月，成立于武昌。",
    "会议时间8:30-12:30，共1,234人。": "会议时间八点半至十二点半，共一千二百三十四人。",
    "温度是-5℃": "温度是零下五度",
    "电话13800138000": "电话幺三八零零幺三八零零零",
    "我有2个苹果": "我有两个苹果",
    "京A12345": "京A幺二三四五",
    "3/4": "四分之三",
    "25%": "百分之二十五",
    "$20": "二十美元",
    "1,234,567": "幺二三四五六七",
    "￥20": "二十",
    "Hello, world. It's 3.5 degrees; don't panic!": "Hello， world Its 三点五 degrees。 dont panic！",
    "I was born in 1990.": "I was born in 幺九九零",
    "v2.5.1": "v二点五零点一",
}


@pytest.mark.parametrize(("text", "expected"), PUBLISHED.items())
def test_published_examples(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_every_golden_text(shared_dir) -> None:
    cases = json.loads((shared_dir / "golden/tiny-a/golden/12_text_normalization.json").read_text())
    assert cases
    assert {case["text"]: normalize(case["text"]) for case in cases} == {
        case["text"]: case["normalized"] for case in cases
    }


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("0", "零"), ("007", "七"), ("10", "十"), ("15", "十五"), ("110", "一百一十"), ("1001", "一千零一"),
        ("10000", "一万"), ("10010", "一万零一十"), ("100000001", "一亿零一"), ("20304050", "二千零三十万四千零五十"),
        ("3000400", "三百万零四百"), ("9" * 30, "九" * 30),
    ],
)  # fmt: skip
def test_integers_are_read_by_value(digits: str, expected: str) -> None:
    assert read_integer(digits) == expected


def test_quantities_say_liang_before_a_measure_word() -> None:
    assert [read_quantity(d) for d in ("2", "12", "20", "200", "2000")] == [
        "两",
        "十二",
        "二十",
        "两百",
        "两千",
    ]
