"""What the engine tells of a request, held against a model that only counts."""

from __future__ import annotations

import pytest

from tests.engine_house import edit, patches, running, understand
from tests.fake_runner import FakeRunner, speak
from uniaudio.engine.events import (
    FinishEvent,
    FinishReason,
    StartEvent,
    TextEvent,
)
from uniaudio.errors import (
    ModelOutputError,
)


def test_understanding_streams_text_until_the_end_token() -> None:
    with running() as (engine, _):
        events = list(engine.generate(understand("a")))
    assert isinstance(events[0], StartEvent)
    assert [event.text for event in events if isinstance(event, TextEvent)] == ["w2 ", "w3 ", "w4 "]
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert (finish.text, finish.reason, finish.num_tokens) == ("w2 w3 w4 ", FinishReason.STOP, 4)


def test_understanding_ends_at_the_token_cap() -> None:
    with running() as (engine, _):
        finish = list(engine.generate(understand("a", max_tokens=2)))[-1]
    assert isinstance(finish, FinishEvent)
    assert (finish.text, finish.reason) == ("w2 w3 ", FinishReason.LENGTH)


@pytest.mark.parametrize(("drop", "count"), [(True, 4), (False, 5)])
def test_speech_marks_its_last_patch_with_and_without_the_surplus_one(drop: bool, count: int) -> None:
    with running(drop_surplus_patch=drop) as (engine, _):
        events = list(engine.generate(speak("a")))
    made = patches(events)
    assert [patch.index for patch in made] == list(range(count))
    assert [patch.last for patch in made] == [False] * (count - 1) + [True]


@pytest.mark.parametrize("drop", [True, False])
def test_speech_ends_at_the_patch_cap_with_a_last_patch(drop: bool) -> None:
    with running(drop_surplus_patch=drop) as (engine, _):
        events = list(engine.generate(speak("a", max_patches=3)))
    assert [patch.last for patch in patches(events)] == [False, False, True]
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.reason is FinishReason.LENGTH


def test_the_stop_head_is_not_heard_before_the_least_length() -> None:
    with running() as (engine, _):
        assert len(patches(list(engine.generate(speak("a", min_patches=9))))) == 9


def test_an_edit_writes_then_speaks() -> None:
    with running() as (engine, _):
        events = list(engine.generate(edit("a", reasoning=True)))
    finish = events[-1]
    assert isinstance(finish, FinishEvent)
    assert finish.text == "w2 w3 w4 <gen_audio>"
    assert finish.num_patches == 4


def test_an_edit_that_never_speaks_is_a_model_error_with_a_remedy() -> None:
    with running(FakeRunner(num_words=1000)) as (engine, _):
        with pytest.raises(ModelOutputError, match="without starting to speak; allow more tokens") as caught:
            list(engine.generate(edit("a", reasoning=True, max_tokens=5)))
    assert caught.value.reason == "NO_AUDIO"


def test_an_edit_without_reasoning_is_made_to_speak_unless_told_not_to() -> None:
    with running(FakeRunner(num_words=1000)) as (engine, _):
        finish = list(engine.generate(edit("a")))[-1]
        assert isinstance(finish, FinishEvent)
        assert finish.text.endswith("<gen_audio>")
    with running(FakeRunner(num_words=1000), force_audio=False) as (engine, _):
        with pytest.raises(ModelOutputError):
            list(engine.generate(edit("b")))
