"""Instructions become edited recordings: exact where that can be, by the model elsewhere, copied where untouched."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import numpy as np
import pytest

from services.orchestrator.attempts import derive_seed
from services.orchestrator.clients import Edit, Generated, Task, TextMade, Understand
from services.orchestrator.domain import (
    AudioBytes,
    EditOrder,
    EditReport,
    Progress,
    Reasoning,
    Recording,
    Sampling,
)
from services.orchestrator.edit_words import Words, shown_reasoning, words_of_reasoning
from services.orchestrator.heard_words import begins_with, contains_words
from tests.edit_house import COT, edit, editor, recording, sound, thinking
from tests.fakes_speech import (
    RANDOM,
    FakeLanguageModel,
    FakeTokenizer,
    Floats,
    noise_patches,
    reading,
    speech_like,
    tone,
)
from uniaudio.audio.formats import AudioFormat
from uniaudio.editing.checks import Verdict
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.mark import EditMark
from uniaudio.editing.plan import EditEngine, EditKind, Plan
from uniaudio.errors import (
    InvalidInputError,
    LimitExceededError,
    ModelOutputError,
    UnavailableError,
    UniaudioError,
    UnknownInstructionError,
)


async def test_an_exact_edit_asks_no_model() -> None:
    model = FakeLanguageModel(thinking())
    items, report = await edit(model, "make it half as loud", transcript="hello")
    assert model.tasks == []
    np.testing.assert_allclose(sound(items), tone(2.0) * 0.5, atol=1e-4)
    assert report.plan.engine is EditEngine.EXACT
    assert (report.model, report.seed, report.warnings) == (None, 0, ())
    assert (report.transcript_before, report.transcript_after, report.transcript_source) == (
        "hello",
        "hello",
        "caller",
    )
    assert report.ranges[0].source == (0.0, 2.0)
    assert [check.name for check in report.checks] == ["duration_ratio"]


async def test_exact_edits_have_no_length_of_the_model() -> None:
    _, report = await edit(
        FakeLanguageModel(thinking()), "adjusts the speed to 0.5", audio=recording(tone(130.0))
    )
    assert (report.source_seconds, report.result_seconds) == (130.0, 260.0)


async def test_only_planning_needs_no_audio() -> None:
    model = FakeLanguageModel(thinking())
    order = EditOrder(audio=Recording(content=b""), instruction="delete 'old'", validate_only=True)
    (plan,) = [item async for item in editor(model).edit(order)]
    assert isinstance(plan, Plan)
    assert (plan.kind, plan.engine) == (EditKind.DELETE, EditEngine.MODEL)


async def test_the_model_can_be_asked_for_what_could_be_exact_and_its_sound_leaves_early() -> None:
    gate = asyncio.Event()
    model = FakeLanguageModel(thinking(seconds=4.0), pause=lambda index: gate if index == 35 else None)
    order = EditOrder(
        audio=recording(tone(2.0)), instruction="adjusts the speed to 0.5", engine=EditEngine.MODEL,
        sampling=Sampling(seed=4),
    )  # fmt: skip
    async with aclosing(editor(model).edit(order)) as items:
        async with asyncio.timeout(5):
            while not isinstance(await anext(items), AudioBytes):
                pass
        assert model.num_made <= 35
        gate.set()
        rest = [item async for item in items]
    report = rest[-1]
    assert isinstance(report, EditReport)
    assert (report.result_seconds, report.seed, report.untouched_copied) == (4.0, 4, False)
    assert report.warnings == ("the weights are random",)
    assert any(isinstance(item, Progress) and 0 < item.fraction < 1 for item in rest)
    ((task, _, _),) = model.tasks
    assert task == Edit(instruction="adjusts the speed to 0.5", reasoning=False)


async def test_a_long_recording_is_edited_window_by_window() -> None:
    model = FakeLanguageModel(thinking(seconds=25.0))
    _, report = await edit(model, "denoise the audio", audio=recording(speech_like(*[9.0] * 9)))
    assert len(model.tasks) >= 3
    assert max(len(latents) for _, latents, _ in model.tasks if latents is not None) <= 50 * 37
    assert len({sampling.seed for _, _, sampling in model.tasks}) == len(model.tasks)
    assert report.result_seconds == 25.0 * len(model.tasks)
    assert report.ranges[0].source == (0.0, pytest.approx(88.2))


async def test_edited_words_are_put_into_the_source() -> None:
    items, report = await edit(
        FakeLanguageModel(thinking()), "insert 'big' before 'dog'", sampling=Sampling(seed=1)
    )
    assert np.abs(sound(items)[:16_000] - tone(1.0)).max() < 1e-3
    assert report.untouched_copied
    assert (report.source_seconds, report.result_seconds) == (2.0, 3.0)
    assert report.ranges[0].source == (1.0, 2.0)
    assert report.transcript_before == "the old dog"
    assert report.transcript_after == "the old big dog"
    assert report.transcript_source == "model"
    told = "".join(item.text for item in items if isinstance(item, Reasoning))
    assert told == "the old <edit>…</edit> dog"


async def test_the_model_is_told_the_place_where_it_is_known() -> None:
    model = FakeLanguageModel(thinking())
    await edit(model, "insert 'big' before 'dog'")
    (task,) = [task for task, _, _ in model.tasks if isinstance(task, Edit)]
    assert task.mark == EditMark(before="the old ", after=" dog", adds_speech=True)
    model = FakeLanguageModel(thinking())
    _, report = await edit(model, "insert 'big' before 'cat'")
    (task,) = [task for task, _, _ in model.tasks if isinstance(task, Edit)]
    assert task.mark is None
    assert "the model was left to find the place" in report.warnings[0]


@pytest.mark.parametrize(
    ("heard", "kept_frames"), [("the old", 66), ("the ol", 66), ("the old dog", 0), ("a big", 0)]
)
async def test_the_model_goes_on_from_what_comes_before_the_edit(heard: str, kept_frames: int) -> None:
    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        assert latents is not None
        if isinstance(task, Understand) and len(latents) < 100:
            return [TextMade(f"English\t{heard}")]
        return thinking()(task, latents, sampling)

    model = FakeLanguageModel(script)
    await edit(model, "insert 'big' before 'dog'")
    await edit(model, "insert 'big' before 'dog'", regenerate_untouched=True)
    first, second = [task for task, _, _ in model.tasks if isinstance(task, Edit)]
    assert (first.kept_frames, second.kept_frames) == (kept_frames, 0)


async def test_an_edit_is_spoken_until_it_is_heard_to_be_right() -> None:
    results = iter(["the old dog", "big the old dog", "never asked for"])
    num_heard = 0

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        nonlocal num_heard
        if isinstance(task, Understand):
            num_heard += 1
            return [TextMade("English\tthe old dog" if num_heard == 1 else f"English\t{next(results)}")]
        return thinking()(task, latents, sampling)

    model = FakeLanguageModel(script)
    items, report = await edit(model, "insert 'big' at the beginning", sampling=Sampling(seed=5, takes=4))
    seeds = [sampling.seed for task, _, sampling in model.tasks if isinstance(task, Edit)]
    assert seeds == [5, derive_seed(5, 1, 0)]
    assert [check.verdict for check in report.checks] == [Verdict.PASSED]
    fractions = [item.fraction for item in items if isinstance(item, Progress)]
    assert fractions == sorted(fractions)
    told = [item.text for item in items if isinstance(item, Reasoning)]
    assert len(told) == 1, "the place is told once"


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ({"instruction": "make it 2 times slower", "engine": EditEngine.MODEL}, "the old dog"),
        ({"instruction": "delete 'old'", "regenerate_untouched": True}, "the dog"),
    ],
)
async def test_what_is_all_the_model_s_is_heard_too(order: dict[str, object], wanted: str) -> None:
    heard = iter(["the old dog", "something else", wanted, "never asked for"])

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        if isinstance(task, Understand):
            return [TextMade(f"English\t{next(heard)}")]
        return thinking(seconds=4.0)(task, latents, sampling)

    model = FakeLanguageModel(script)
    items, _ = await edit(model, **order, sampling=Sampling(seed=5, takes=4))  # type: ignore[arg-type]
    seeds = [sampling.seed for task, _, sampling in model.tasks if isinstance(task, Edit)]
    assert seeds == [5, derive_seed(5, 0, 1)]
    second = noise_patches(1, derive_seed(5, 0, 1) % 2**32)[0].latents[0, 0]
    assert sound(items)[0] == pytest.approx(second, abs=1e-3)


async def test_the_callers_words_come_first() -> None:
    model = FakeLanguageModel(thinking(heard="English\ta new dog"))
    _, report = await edit(model, "substitute 'old' with 'new'", transcript="an old dog")
    assert (report.transcript_before, report.transcript_after) == ("an old dog", "an new dog")
    assert report.transcript_source == "caller"


async def test_nothing_is_copied_when_asked_not_to_and_the_sound_leaves_early() -> None:
    items, report = await edit(
        FakeLanguageModel(thinking()), "delete 'old'", regenerate_untouched=True, sampling=Sampling(seed=2)
    )
    assert not report.untouched_copied
    assert report.result_seconds == 2.0
    assert report.ranges[0].result == (0.0, 2.0)
    assert [type(item) for item in items].count(AudioBytes) > 3


async def test_free_text_that_marks_no_words_changes_everything() -> None:
    _, report = await edit(FakeLanguageModel(thinking(reasoning="")), "sing it like an opera")
    assert report.plan.kind is EditKind.UNSPECIFIED
    assert not report.untouched_copied
    assert report.ranges[0].source == (0.0, 2.0)


@pytest.mark.parametrize("place", ["beginning", "end"])
async def test_words_at_the_ends_of_a_long_recording_are_edited_there(place: str) -> None:
    waveform = speech_like(*[9.0] * 9)
    items, report = await edit(
        FakeLanguageModel(thinking(seconds=30.0)), f"insert 'x' at the {place}", audio=recording(waveform)
    )
    result = sound(items)
    (changed,) = report.ranges
    if place == "end":
        assert changed.source[1] == pytest.approx(len(waveform) / 16_000)
        assert np.abs(result[: 16_000 * 50] - waveform[: 16_000 * 50]).max() < 1e-3
    else:
        assert changed.source[1] < 37
        assert np.abs(result[-16_000 * 30 :] - waveform[-16_000 * 30 :]).max() < 1e-3
    assert report.result_seconds == pytest.approx(len(result) / 16_000)


async def test_quoted_words_of_a_long_recording_are_looked_for() -> None:
    calls = []

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        if isinstance(task, Understand):
            calls.append(task)
            return [TextMade("English\tan Old, dog" if len(calls) == 2 else "English\tnothing")]
        return [TextMade(COT), *noise_patches(300)]

    _, report = await edit(
        FakeLanguageModel(script), "delete 'old dog'", audio=recording(speech_like(*[9.0] * 9))
    )
    assert 15 < report.ranges[0].source[0] < 60

    with pytest.raises(InvalidInputError, match="did not hear 'cat'"):
        await edit(FakeLanguageModel(script), "delete 'cat'", audio=recording(speech_like(*[9.0] * 9)))


async def test_a_model_of_short_stretches_is_shown_the_one_with_the_words() -> None:
    read = iter(["the red door", "an old dog", *["an old dog"] * 9])
    served = replace(RANDOM, window_seconds=5.0)

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        if isinstance(task, Understand):
            return [TextMade(f"English\t{next(read)}")]
        return [TextMade(COT), *noise_patches(20)]

    audio = recording(speech_like(3.0, 2.5, 3.5))
    _, report = await edit(FakeLanguageModel(script, served=served), "delete 'old'", audio=audio)
    assert 3.0 < report.ranges[0].source[0] < report.ranges[0].source[1] < 7.0


async def test_positions_in_a_long_recording_are_refused_with_the_remedy() -> None:
    with pytest.raises(LimitExceededError, match="quote the words"):
        await edit(
            FakeLanguageModel(thinking()),
            "delete the characters or words from index 1 to index 2",
            audio=recording(speech_like(*[9.0] * 9)),
        )


async def test_a_silent_try_is_made_anew() -> None:
    left = [[TextMade(COT)], [TextMade(COT), *noise_patches(20)]]

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        return [TextMade("English\tx")] if isinstance(task, Understand) else list(left.pop(0))

    items, report = await edit(FakeLanguageModel(script), "insert 'big' before 'dog'")
    assert report.result_seconds == 3.0
    assert sum(isinstance(item, Reasoning) for item in items) == 1


async def test_a_model_that_never_speaks_is_an_error() -> None:
    with pytest.raises(ModelOutputError, match="no sound at all"):
        await edit(FakeLanguageModel(lambda *_: [TextMade(COT)]), "insert 'big' before 'dog'")


@pytest.mark.parametrize(
    ("order", "error"),
    [
        ({"instruction": ""}, InvalidInputError),
        ({"instruction": "x" * 2001}, LimitExceededError),
        ({"instruction": "sing it", "engine": EditEngine.EXACT}, UnknownInstructionError),
        ({"instruction": "delete 'x'", "engine": EditEngine.EXACT}, UnknownInstructionError),
        ({"instruction": "adjusts the speed to 50"}, LimitExceededError),
        ({"instruction": "denoise", "transcript": "x" * 20_001}, LimitExceededError),
        ({"instruction": "denoise", "audio": Recording(content=b"")}, UniaudioError),
        ({"instruction": "denoise", "audio": Recording(content=b"nothing")}, UniaudioError),
        ({"instruction": "denoise", "output": AudioFormat(sample_rate=1)}, LimitExceededError),
    ],
)
async def test_what_cannot_work_is_refused_before_any_work(order: dict, error: type[UniaudioError]) -> None:
    model = FakeLanguageModel(thinking())
    with pytest.raises(error):
        await edit(model, **order)
    assert model.tasks == []


async def test_a_caller_who_leaves_stops_the_model() -> None:
    model, tokenizer = FakeLanguageModel(thinking(seconds=20.0)), FakeTokenizer()
    items = editor(model, tokenizer).edit(
        EditOrder(audio=recording(tone(20.0)), instruction="denoise the audio")
    )
    while not isinstance(await anext(items), AudioBytes):
        pass
    await items.aclose()
    assert (model.num_open, model.num_cancelled, tokenizer.num_open) == (0, 1, 0)


async def test_a_neighbour_that_is_away_is_told_as_it_is() -> None:
    with pytest.raises(UnavailableError):
        await edit(FakeLanguageModel(reading(), error=UnavailableError("away")), "denoise the audio")


def test_words_are_read_from_the_reasoning() -> None:
    insertion = parse_instruction("insert '实现' before the character or word at index 3")
    cot = "<cot_text>有望<edit><framePatch></edit>盘活超万亿的国企存量资产</cot_text><gen_audio>"
    assert words_of_reasoning(insertion, cot) == Words(
        "有望盘活超万亿的国企存量资产", "有望实现盘活超万亿的国企存量资产"
    )
    deletion = parse_instruction("delete the characters or words from index 5 to index 8")
    cot = "<cot_text>有望盘活<edit></edit>国企存量资产</cot_text><gen_audio>"
    assert words_of_reasoning(deletion, cot) == Words("", "有望盘活国企存量资产")
    swap = parse_instruction("substitute 'old' with 'new'")
    assert words_of_reasoning(swap, COT) == Words("the old old dog", "the old new dog")
    assert words_of_reasoning(swap, "no mark") == Words()


@pytest.mark.parametrize(
    ("heard", "begins"),
    [
        ("We al", True),
        ("we all went", True),
        ("we all want to", False),
        ("we all went home again", False),
        ("", False),
    ],
)
def test_what_is_heard_may_end_in_a_cut_word(heard: str, begins: bool) -> None:
    assert begins_with("We all went home", heard) is begins


def test_reasoning_is_shown_without_special_tokens() -> None:
    assert shown_reasoning(COT + "<gen_audio>") == "the old <edit>…</edit> dog"
    assert shown_reasoning("<gen_audio>") == ""


def test_words_are_found_whatever_their_case_and_punctuation() -> None:
    assert contains_words("An OLD, dog!", "old dog")
    assert contains_words("有望，盘活", "望盘")
    assert not contains_words("anything", "?!")
