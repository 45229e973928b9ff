"""Instructions in both languages become the plan that was meant, or go to the model as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniaudio.editing.grammar import MAX_INSTRUCTION_CHARACTERS, parse_instruction
from uniaudio.editing.plan import EditEngine, EditKind, InsertPlace, Plan, TextTarget
from uniaudio.errors import InvalidInputError, LimitExceededError, UniaudioError, UnknownInstructionError

ROOT = Path(__file__).resolve().parents[3]
ROW = re.compile(r"^\| `(.+)` \| (.+) \| `(.+)` \|$", re.MULTILINE)
DOCUMENTED = ROW.findall((ROOT / "docs/instructions.md").read_text(encoding="utf-8"))


def test_the_table_is_found() -> None:
    assert len(DOCUMENTED) > 60


@pytest.mark.parametrize(("instruction", "summary", "command"), DOCUMENTED)
def test_every_documented_example(instruction: str, summary: str, command: str) -> None:
    plan = parse_instruction(instruction)
    assert (plan.summary, plan.model_instruction) == (summary, command)


PUBLISHED = (
    "insert '实现' before the character or word at index 3",
    "insert 'X' after the character or word at index 7",
    "insert 'X' before the character or word 'w'",
    "insert 'X' after the character or word 'w'",
    "insert 'X' at the beginning",
    "insert 'X' at the end",
    "delete the characters or words from index 5 to index 8",
    "delete 'X'",
    "substitute '盘活' with '创造'",
    "substitute the characters or words from index 2 to index 4 with 'X'",
    "denoise the audio",
    "adjusts the speed to 0.7",
    "shifts the pitch by -4 steps",
    "adjusts the volume to 0.6",
    "add rain to audio",
    "change the emotion to happy mood",
    "change the accent of the speech to Chengdu",
)


@pytest.mark.parametrize("command", PUBLISHED)
def test_published_commands_are_understood_and_kept(command: str) -> None:
    plan = parse_instruction(command + ".")
    assert plan.kind is not EditKind.UNSPECIFIED
    assert plan.model_instruction == command
    assert plan.reasoning is plan.kind.changes_words


VALUES = {
    EditKind.SPEED: {
        "speed up the audio by 1.5x": 1.5, "half as fast": 0.5, "two times slower": 0.5, "play at 0.8x": 0.8,
        "set the speed to 80%": 0.8, "make it one and a half times as fast": 1.5, "three quarters of the speed": 0.75,
        "double the speed": 2.0, "Could you please make it a bit faster?": 1.1, "read it more slowly": 0.8,
        "make the speech 30 percent slower": 0.7, "normal speed": 1.0, "语速变为1.5倍。": 1.5, "快一倍": 2.0,
        "慢一倍": 0.5, "把语速降低百分之二十": 0.8, "放慢到0.8倍": 0.8, "1.5倍速播放": 1.5, "请把语速稍微放慢一点": 0.9,
        "语速0.7": 0.7, "把语速调整到两倍": 2.0, "再快点": 1.1,
    },
    EditKind.PITCH: {
        "Lower it by three semitones.": -3.0, "an octave higher": 12.0, "pitch it down by 100 cents": -1.0,
        "transpose up 2 semitones": 2.0, "half a semitone up": 0.5, "make it higher by 3 semitones": 3.0,
        "降低两个半音": -2.0, "降一个八度": -12.0, "音调高一点": 1.0, "把音调调低3个半音": -3.0,
        "音调升高一个全音": 2.0,
    },
    EditKind.VOLUME: {
        "make it half as loud": 0.5, "+6 dB": 10 ** 0.3, "louder by 3 dB": 10 ** 0.15, "double the volume": 2.0,
        "lower the volume to 30%": 0.3, "the recording should be 20 dB quieter": 0.1, "-20dB": 0.1,
        "音量变为0.6倍。": 0.6, "音量降低一半": 0.5, "音量提高到150%": 1.5, "把音量调到原来的一半": 0.5,
        "把声音放大两倍": 2.0,
        "音量+20dB": 10.0,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "instruction", "value"),
    [(kind, instruction, value) for kind, cases in VALUES.items() for instruction, value in cases.items()],
)
def test_amounts(kind: EditKind, instruction: str, value: float) -> None:
    plan = parse_instruction(instruction)
    assert plan.kind is kind
    assert plan.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("instruction", "target"),
    [
        ("delete word 3", TextTarget(start_index=3, end_index=3)),
        ("delete the 2nd and 3rd words", TextTarget(start_index=2, end_index=3)),
        ("delete the second to fourth words", TextTarget(start_index=2, end_index=4)),
        ("delete the last word of the sentence", TextTarget(start_index=-1, end_index=-1)),
        ("delete the second to last word", TextTarget(start_index=-2, end_index=-2)),
        ('delete the word "don\'t"', TextTarget(text="don't")),
        ("delete ‘don’t go’ please", TextTarget(text="don’t go")),
        ("删除第三个字到第五个字", TextTarget(start_index=3, end_index=5)),
        ("删除倒数第二个字", TextTarget(start_index=-2, end_index=-2)),
        ("请删除“的”字", TextTarget(text="的")),
        ("删除“超万亿的”这几个字", TextTarget(text="超万亿的")),
    ],
)
def test_targets(instruction: str, target: TextTarget) -> None:
    plan = parse_instruction(instruction)
    assert (plan.kind, plan.target) == (EditKind.DELETE, target)


def test_insertions_know_their_place() -> None:
    plan = parse_instruction("把“实现”插入到“盘活”前面")
    assert (plan.new_text, plan.place, plan.target.text) == ("实现", InsertPlace.BEFORE, "盘活")


@pytest.mark.parametrize(
    ("instruction", "kind", "name"),
    [
        ("添加雨声作为背景", EditKind.BACKGROUND, "rain"), ("加入一些雨声做背景音乐", EditKind.BACKGROUND, "rain"),
        ("添加“雨声”当作背景音", EditKind.BACKGROUND, "rain"), ("用雨声作为背景声", EditKind.BACKGROUND, "rain"),
        ("加上音乐当背景音", EditKind.BACKGROUND, "music"), ("加入叮当的背景音", EditKind.BACKGROUND, "叮当"),
        ("talk in an angry voice", EditKind.EMOTION, "angry"), ("speak happily", EditKind.EMOTION, "happy"),
        ("把口音改成苏格兰", EditKind.DIALECT, "Scottish"), ("Use a Scots accent.", EditKind.DIALECT, "Scottish"),
    ],
)  # fmt: skip
def test_names(instruction: str, kind: EditKind, name: str) -> None:
    plan = parse_instruction(instruction)
    assert (plan.kind, plan.name) == (kind, name)


@pytest.mark.parametrize(
    ("instruction", "target"),
    [
        ("Swap words 2 to 3 for 'x'", TextTarget(start_index=2, end_index=3)),
        ("exchanges words two through four for 'x'", TextTarget(start_index=2, end_index=4)),
        ("swap the second to last word for 'x'", TextTarget(start_index=-2, end_index=-2)),
        ("Swap 'way to go' for 'x'", TextTarget(text="way to go")),
        ("switch cats to 'x'", TextTarget(text="cats")),
    ],
)
def test_swaps(instruction: str, target: TextTarget) -> None:
    plan = parse_instruction(instruction)
    assert (plan.kind, plan.target, plan.new_text) == (EditKind.SUBSTITUTE, target, "x")


@pytest.mark.parametrize(
    "instruction",
    [
        "keep the audio as it is", "Leave it as it is.", "Change nothing.", "do not change anything",
        "Leave everything as it was.", "no changes, please", "Don’t touch the recording", "leave it alone",
        "保持原样", "什么都不要改", "不做任何修改", "请让音频保持不变", "不要改动任何内容",
    ],
)  # fmt: skip
def test_to_change_nothing_is_refused(instruction: str) -> None:
    with pytest.raises(InvalidInputError, match="asks for no change") as caught:
        parse_instruction(instruction)
    assert caught.value.reason == "INSTRUCTION_CHANGES_NOTHING"


@pytest.mark.parametrize(
    "instruction",
    [
        "make it better", "keep the speed as it is", "don't change the words", "保持语速不变",
        "delete 'a' and make it louder", "remove the echo", "change my voice to a woman",
        "Delete the second 'the'", "变成机器人的声音", "让声音变得更有磁性", "换成男声", "\ue000", "x" * 1000,
        "delete 'unclosed", "语速和音量都加倍",
    ],
)  # fmt: skip
def test_what_is_not_understood_goes_to_the_model(instruction: str) -> None:
    plan = parse_instruction(instruction)
    assert plan.kind is EditKind.UNSPECIFIED
    assert plan.model_instruction
    assert plan.reasoning


@pytest.mark.parametrize(
    ("instruction", "value"),
    [
        ("make it 10 times faster", "10"), ("set the volume to 50", "50"), ("reduce the volume by 100%", "0"),
        ("raise the pitch by 24 semitones", "24"), ("把语速调快到10倍", "10"), ("音调升高30个半音", "30"),
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused_by_name(instruction: str, value: str) -> None:
    with pytest.raises(LimitExceededError, match=rf"{value} .* outside .* to ") as caught:
        parse_instruction(instruction)
    assert caught.value.reason == "EDIT_VALUE_OUT_OF_RANGE"


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("  ", "INSTRUCTION_EMPTY"), ("delete words 5 to 3", "EDIT_TARGET_INVALID"),
        ("delete the word at index 0", "EDIT_TARGET_INVALID"), ("删除第5到3个字", "EDIT_TARGET_INVALID"),
        (f"insert '{'x' * 500}' at the end", "EDIT_TEXT_TOO_LONG"),
    ],
)  # fmt: skip
def test_impossible_instructions_are_refused(instruction: str, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_instruction(instruction)
    assert caught.value.reason == reason


def test_too_long_an_instruction_is_refused() -> None:
    with pytest.raises(LimitExceededError, match=f"limit is {MAX_INSTRUCTION_CHARACTERS}"):
        parse_instruction("x" * (MAX_INSTRUCTION_CHARACTERS + 1))


@given(st.text(max_size=120))
def test_any_text_gives_a_plan_or_a_refusal(text: str) -> None:
    try:
        plan = parse_instruction(text)
    except UniaudioError:
        return
    assert isinstance(plan, Plan)
    assert plan.instruction == text


def test_auto_takes_exact_where_it_is_exact() -> None:
    speed = parse_instruction("make it 20% faster").with_engine(EditEngine.AUTO)
    assert (speed.engine, speed.model_instruction) == (EditEngine.EXACT, "")
    assert parse_instruction("denoise the audio").with_engine(EditEngine.AUTO).engine is EditEngine.MODEL
    assert parse_instruction("make it 20% faster").with_engine(EditEngine.MODEL).model_instruction


def test_exact_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UnknownInstructionError, match="exact engine only changes speed"):
        parse_instruction("denoise the audio").with_engine(EditEngine.EXACT)


def test_numbers_of_the_contract() -> None:
    from uniaudio.v1 import edits_pb2

    for ours, prefix, contract in (
        (EditKind, "EDIT_KIND", edits_pb2.EditKind),
        (EditEngine, "EDIT_ENGINE", edits_pb2.EditEngine),
        (InsertPlace, "INSERT_PLACE", edits_pb2.InsertPlace),
    ):
        assert {f"{prefix}_{member.name}": member.value for member in ours} == dict(contract.items())
