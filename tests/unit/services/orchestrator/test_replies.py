"""The model's replies become language and words, without its special tokens."""

from __future__ import annotations

import pytest

from services.orchestrator.replies import Reply, join_texts, parse_reply, strip_special


@pytest.mark.parametrize(
    ("reply", "forced", "expected"),
    [
        ("English\tdean israelite said<|endoftext|>", "", Reply("English", "dean israelite said")),
        ("Chinese\t现在是不是也该长点心了吧", "", Reply("Chinese", "现在是不是也该长点心了吧")),
        ("just words", "", Reply("", "just words")),
        ("words\twith a tab", "English", Reply("English", "words\twith a tab")),
        ("x" * 40 + "\trest", "", Reply("", "x" * 40 + "\trest")),
        ("", "", Reply("", "")),
        ("<|endoftext|>", "川渝", Reply("川渝", "")),
    ],
)
def test_replies_are_read(reply: str, forced: str, expected: Reply) -> None:
    assert parse_reply(reply, forced) == expected


def test_special_tokens_vanish_and_other_brackets_stay() -> None:
    assert (
        strip_special("<cot_text>a <edit><framePatch></edit> b</cot_text><gen_audio> 1 < 2 > 0")
        == "a  b 1 < 2 > 0"
    )


def test_texts_are_joined_as_their_script_writes() -> None:
    assert join_texts(["one two", "three", "", "四", "五 six", "seven"]) == "one two three四五 six seven"
