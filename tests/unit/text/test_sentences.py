"""Text is split where people pause, never above the limit, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniaudio.text.sentences import split_sentences


def test_english_sentences_and_abbreviations() -> None:
    text = (
        'Dr. Smith came at 5 p.m. He paid $3.50, e.g. for tea. "Really?" she asked... Yes! See www.a.com now.'
    )
    assert split_sentences(text, 200) == [
        "Dr. Smith came at 5 p.m.",
        "He paid $3.50, e.g. for tea.",
        '"Really?" she asked...',
        "Yes!",
        "See www.a.com now.",
    ]


def test_chinese_sentences_keep_their_closing_quotes() -> None:
    assert split_sentences("你好。“真的吗？”他说：是的！好的……再见", 100) == [
        "你好。", "“真的吗？”", "他说：是的！", "好的……", "再见",
    ]  # fmt: skip


def test_long_sentences_break_at_the_best_place() -> None:
    assert split_sentences("one two three four five, six seven; eight nine ten", 15) == [
        "one two three", "four five,", "six seven;", "eight nine ten",
    ]  # fmt: skip
    assert split_sentences("这是一个很长的句子，没有句号，一直写", 12) == [
        "这是一个很长的句子，",
        "没有句号，一直写",
    ]


def test_short_and_empty_texts() -> None:
    assert split_sentences("Hi", 100) == ["Hi"]
    assert split_sentences(" \n\n ", 100) == []


def test_a_limit_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        split_sentences("Hi", 0)


@given(st.text(alphabet="ab .,;!?。，！\n“”\"'中文12", max_size=200), st.integers(1, 40))
def test_nothing_is_lost_and_the_limit_holds(text: str, limit: int) -> None:
    parts = split_sentences(text, limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
