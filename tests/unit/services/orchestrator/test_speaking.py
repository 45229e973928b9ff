"""Sound leaves while further patches are made; closing cancels the generation; failures of either side come out."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from services.orchestrator.clients import Finished, PatchMade, Speak, TextMade
from services.orchestrator.domain import Sampling
from services.orchestrator.groups import Lead
from services.orchestrator.speaking import decode_while_made
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, patches
from uniaudio.errors import ModelOutputError, UnavailableError

SPEAK = Speak(text="hello")


def model_of(events: list, **options: object) -> FakeLanguageModel:
    return FakeLanguageModel(lambda *_: list(events), **options)  # type: ignore[arg-type]


async def collect(model: FakeLanguageModel, tokenizer: FakeTokenizer) -> list:
    """Everything that comes out."""
    events = model.generate(SPEAK, None, Sampling(seed=0))
    return [item async for item in decode_while_made(events, tokenizer, Lead().room)]


async def test_text_then_sound_then_the_end() -> None:
    items = await collect(
        model_of([TextMade("a"), TextMade("b"), *patches([0.1, 0.2, 0.3])]), FakeTokenizer()
    )
    assert [type(item) for item in items[:2]] == [TextMade, TextMade]
    assert isinstance(items[-1], Finished)
    sound = np.concatenate([item for item in items if isinstance(item, np.ndarray)])
    np.testing.assert_allclose(sound, np.repeat(np.float32([0.1, 0.2, 0.3]), 1_600))
    assert sum(isinstance(item, PatchMade) for item in items) == 3


async def test_the_first_sound_leaves_before_the_last_patch_is_made() -> None:
    gate = asyncio.Event()
    model = model_of(patches([0.1] * 5), pause=lambda index: gate if index == 4 else None)
    events = model.generate(SPEAK, None, Sampling(seed=0))
    async with aclosing(decode_while_made(events, FakeTokenizer(), Lead().room)) as items:
        async with asyncio.timeout(5):
            while not isinstance(await anext(items), np.ndarray):
                pass
        assert model.num_made < 5
        gate.set()
        rest = [item async for item in items]
    assert isinstance(rest[-1], Finished)


async def test_an_answer_without_speech_is_text_and_the_end() -> None:
    items = await collect(model_of([TextMade("only words")]), FakeTokenizer())
    assert [type(item) for item in items] == [TextMade, Finished]


async def test_closing_cancels_both_sides() -> None:
    tokenizer, model = FakeTokenizer(), model_of(patches([0.1] * 50))
    items = decode_while_made(model.generate(SPEAK, None, Sampling(seed=0)), tokenizer, Lead().room)
    await anext(items)
    await items.aclose()
    assert (model.num_open, model.num_cancelled, tokenizer.num_open) == (0, 1, 0)
    assert model.num_made < 10


async def test_a_decoder_that_fails_midway_ends_the_generation() -> None:
    tokenizer, model = FakeTokenizer(), model_of(patches([0.1] * 50))
    tokenizer.fail_after_pieces = 2
    with pytest.raises(UnavailableError):
        await collect(model, tokenizer)
    assert (model.num_open, model.num_cancelled, tokenizer.num_open) == (0, 1, 0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
async def test_sound_that_is_not_finite_is_an_error(value: float) -> None:
    with pytest.raises(ModelOutputError, match="not finite"):
        await collect(model_of(patches([0.1, value])), FakeTokenizer())
