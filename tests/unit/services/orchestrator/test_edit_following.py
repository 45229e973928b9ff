"""Words that are found in the recording: cut out, or replaced by the new ones alone."""

from __future__ import annotations

import numpy as np
import pytest

from services.orchestrator.clients import Edit, Follow, Followed, Generated, Speak
from services.orchestrator.domain import Reasoning, Sampling
from tests.edit_house import edit, following, recording
from tests.fakes_speech import NAMING, Floats, tone


async def test_words_that_are_found_are_cut_out_without_a_new_sound() -> None:
    model = following()
    items, report = await edit(model, "delete 'old'")
    assert not [task for task, _, _ in model.tasks if isinstance(task, Edit)]
    (changed,) = report.ranges
    # "old " is the fifth to the eighth of eleven characters that all take the same time.
    assert changed.source == pytest.approx((2.0 * 4 / 11, 2.0 * 8 / 11), abs=0.15)
    assert report.result_seconds == pytest.approx(2.0 * 7 / 11, abs=0.2)
    assert report.untouched_copied
    assert report.model == NAMING
    assert report.provenance.generated == ()
    assert (report.transcript_before, report.transcript_after) == ("the old dog", "the dog")
    told = "".join(item.text for item in items if isinstance(item, Reasoning))
    assert told == "the <edit></edit> dog"


async def test_new_words_alone_are_taken_from_what_is_spoken_where_they_are_found() -> None:
    model = following()
    _, report = await edit(model, "replace 'old' with 'fine'", sampling=Sampling(seed=1, takes=1))
    ((task, voice),) = [(task, latents) for task, latents, _ in model.tasks if isinstance(task, Speak)]
    assert task == Speak(text="the fine dog", prompt_text="the old dog"), "in the recording's own voice"
    assert voice is not None
    assert len(voice) == 100
    (changed,) = report.ranges
    assert changed.source == pytest.approx((2.0 * 4 / 11, 2.0 * 8 / 11), abs=0.15)
    # Of two seconds of "the fine dog", the part that says "fine".
    assert changed.result[1] - changed.result[0] == pytest.approx(2.0 * 5 / 12, abs=0.2)


async def test_where_the_words_are_not_heard_the_model_speaks_and_likeness_decides() -> None:
    def nowhere(task: Follow, latents: Floats) -> list[Generated]:
        return [Followed(np.full((len(latents) // 5, len(task.text)), -5.0, np.float32))]

    model = following(follow=nowhere)
    _, report = await edit(model, "delete 'old'", sampling=Sampling(seed=1, takes=1))
    assert [task for task, _, _ in model.tasks if isinstance(task, Edit)]
    assert report.ranges[0].source == (1.0, 2.0)


@pytest.mark.parametrize(("seconds", "words"), [(0.15, "a"), (2.0, "word " * 20)])
async def test_what_is_too_short_for_its_words_is_spoken_anew(seconds: float, words: str) -> None:
    model = following(heard=f"English\t{words} b")
    await edit(model, "delete 'b'", audio=recording(tone(seconds)), sampling=Sampling(seed=1, takes=1))
    assert not [task for task, _, _ in model.tasks if isinstance(task, Follow)]
    assert [task for task, _, _ in model.tasks if isinstance(task, Edit)]
