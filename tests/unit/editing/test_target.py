"""The place that a plan names is found in a transcript, and the edited text is what people expect."""

from __future__ import annotations

import pytest

from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.target import Resolution, count_units, has_ideographs, resolve_target, units_of
from uniaudio.errors import InvalidInputError

ENGLISH = "The quick brown fox, it seems, don't jump over the lazy dog."
CHINESE = "有望盘活超万亿的国企存量资产"


def resolve(instruction: str, transcript: str) -> Resolution:
    return resolve_target(parse_instruction(instruction), transcript)


@pytest.mark.parametrize(
    ("transcript", "instruction", "expected"),
    [
        (ENGLISH, "delete the last three words", "The quick brown fox, it seems, don't jump over."),
        (ENGLISH, "delete the first word", "quick brown fox, it seems, don't jump over the lazy dog."),
        (ENGLISH, "delete 'It seems'", "The quick brown fox, don't jump over the lazy dog."),
        ("the lazy dog", "insert 'old' before the last word", "the lazy old dog"),
        (ENGLISH, "insert 'today' at the end", "The quick brown fox, it seems, don't jump over the lazy dog today."),
        (ENGLISH, "replace 'Brown Fox' with 'red cat'", "The quick red cat, it seems, don't jump over the lazy dog."),
        (ENGLISH, "insert 'not' after 'don’t'", "The quick brown fox, it seems, don't not jump over the lazy dog."),
        (CHINESE, "insert '实现' before the character or word at index 3", "有望实现盘活超万亿的国企存量资产"),
        (CHINESE, "delete the characters or words from index 5 to index 8", "有望盘活国企存量资产"),
        (CHINESE, "substitute '盘活' with '创造'", "有望创造超万亿的国企存量资产"),
        (CHINESE, "在句末添加“啊”", "有望盘活超万亿的国企存量资产啊"),
        (CHINESE, "删掉倒数第二个字", "有望盘活超万亿的国企存量产"),
        ("你好world再见", "delete 'World'", "你好再见"),
    ],
)  # fmt: skip
def test_edited_text(transcript: str, instruction: str, expected: str) -> None:
    assert resolve(instruction, transcript).edited_text == expected


def test_positions_from_the_end_become_positions_from_the_beginning() -> None:
    resolution = resolve("delete the last three words", ENGLISH)
    assert resolution.plan.model_instruction == "delete the characters or words from index 10 to index 12"
    assert (resolution.plan.target.start_index, resolution.plan.target.end_index) == (10, 12)
    assert resolution.source_fraction[1] == 1.0


def test_at_the_end_becomes_an_index() -> None:
    plan = resolve("在句末添加“啊”", CHINESE).plan
    assert plan.model_instruction == "insert '啊' after the character or word at index 14"


def test_fractions_tell_where_the_edit_is_spoken() -> None:
    resolution = resolve("substitute '盘活' with '创造出'", CHINESE)
    assert resolution.source_fraction == pytest.approx((2 / 14, 4 / 14))
    assert resolution.edited_fraction == pytest.approx((2 / 15, 5 / 15))


def test_the_first_of_several_is_meant_and_it_is_said() -> None:
    resolution = resolve("delete 'the'", ENGLISH)
    assert resolution.source_span == (0, 3)
    assert "occurs 2 times" in resolution.note


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("delete 'zebra'", "EDIT_TARGET_NOT_FOUND"),
        ("delete words 4 to 20", "EDIT_TARGET_OUT_OF_RANGE"),
        ("delete the last 20 words", "EDIT_TARGET_OUT_OF_RANGE"),
        ("delete the first 12 words", "EDIT_LEAVES_NOTHING"),
        ("denoise the audio", "EDIT_TARGET_INVALID"),
    ],
)
def test_what_cannot_be_is_refused(instruction: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        resolve(instruction, ENGLISH)
    assert caught.value.reason == reason


def test_an_insertion_into_nothing_is_all_there_is() -> None:
    assert resolve("insert 'Hi' at the end", "").edited_text == "Hi"


@pytest.mark.parametrize(
    ("instruction", "transcript", "reasoning"),
    [
        ("insert 'it' before 'old'", "the old dog", "the <edit><framePatch></edit> old dog"),
        ("insert 'it' after 'old'", "the old dog", "the old <edit><framePatch></edit> dog"),
        ("delete 'the'", "the old dog", "<edit></edit> old dog"),
        ("substitute 'dog' with 'cat'", "the old dog.", "the old <edit><framePatch></edit>."),
        ("把“盘活”换成“化解”", "有望盘活超万亿的资产", "有望<edit><framePatch></edit>超万亿的资产"),
    ],
)
def test_a_place_is_marked_as_published(instruction: str, transcript: str, reasoning: str) -> None:
    assert resolve(instruction, transcript).mark.reasoning == f"<cot_text>{reasoning}</cot_text>"


def test_units_are_words_and_ideographs() -> None:
    assert count_units("don't stop, 3.5 times") == 4
    assert count_units("我用iPhone打电话。") == 6
    assert units_of("Don’t stop, 3.5 ＴＩＭＥＳ") == ["don't", "stop", "3.5", "times"]
    assert has_ideographs("我用iPhone")
    assert not has_ideographs("naïve")
