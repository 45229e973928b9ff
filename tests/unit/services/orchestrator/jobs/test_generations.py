from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from services.orchestrator.clients import (
    Edit,
    Finished,
    Follow,
    Followed,
    Generated,
    PatchMade,
    Speak,
    Task,
    TextMade,
)
from services.orchestrator.domain import Sampling
from services.orchestrator.jobs.generations import KeepingModel, KeepingTokenizer
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, Floats, noise_patches
from uniaudio.runtime.folder_store import FolderStore

TASK = Edit(instruction="make it so", reasoning=True)
LATENTS = np.ones((50, 4), np.float32)
SEEDED = Sampling(seed=7)


def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
    return [TextMade("hello "), TextMade("world"), *noise_patches(120, sampling.seed or 0)]


async def take(events: AsyncGenerator[Generated, None], count: int = 1_000) -> list[Generated]:
    taken: list[Generated] = []
    async with aclosing(events):
        async for event in events:
            taken.append(event)
            if len(taken) == count:
                break
    return taken


def sound(events: list[Generated]) -> Floats:
    return np.concatenate([event.latents for event in events if isinstance(event, PatchMade)])


def text(events: list[Generated]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextMade))


@pytest.mark.parametrize("stops_after", [0, 1, 2, 26, 27, 28, 60, 121, 122])
async def test_a_generation_goes_on_where_it_was(tmp_path: Path, stops_after: int) -> None:
    whole = await take(FakeLanguageModel(script).generate(TASK, LATENTS, SEEDED))
    store = FolderStore(tmp_path)
    first = FakeLanguageModel(script)
    if stops_after:
        await take(KeepingModel(first, store, "g").generate(TASK, LATENTS, SEEDED), stops_after)
    second = FakeLanguageModel(script)
    again = await take(KeepingModel(second, store, "g").generate(TASK, LATENTS, SEEDED))
    assert text(again) == text(whole)
    assert np.array_equal(sound(again), sound(whole))
    assert again[-1] == whole[-1]
    num_kept = max(0, stops_after - 2) // 25 * 25
    assert second.resumed == ([num_kept] if num_kept else [])
    third = FakeLanguageModel(script)
    played = await take(KeepingModel(third, store, "g").generate(TASK, LATENTS, SEEDED))
    assert np.array_equal(sound(played), sound(whole))
    assert (text(played), played[-1]) == (text(whole), whole[-1])
    assert third.tasks == []


async def test_other_questions_are_other_generations(tmp_path: Path) -> None:
    model = FakeLanguageModel(script)
    kept = KeepingModel(model, FolderStore(tmp_path), "g")
    for task, latents, sampling in (
        (TASK, LATENTS, SEEDED),
        (TASK, LATENTS, Sampling(seed=8)),
        (TASK, LATENTS + 1, SEEDED),
        (TASK, LATENTS.reshape(25, 8), SEEDED),
        (Speak(text="make it so"), None, SEEDED),
    ):
        await take(kept.generate(task, latents, sampling))
    assert len(model.tasks) == 5


async def test_patches_of_another_text_are_not_gone_on_with(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    await take(KeepingModel(FakeLanguageModel(script), store, "g").generate(TASK, LATENTS, SEEDED), 60)

    def other(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        return [TextMade("hullo world"), *noise_patches(30, 9)]

    model = FakeLanguageModel(other)
    events = await take(KeepingModel(model, store, "g").generate(TASK, LATENTS, SEEDED))
    assert model.resumed == [50]
    assert len(model.tasks) == 2
    assert text(events) == "hullo world"
    assert np.array_equal(sound(events), sound(noise_patches(30, 9)))
    assert isinstance(events[-1], Finished)


async def test_pieces_of_two_that_differ_do_not_come_together(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)

    def slow(seed: int) -> FakeLanguageModel:
        return FakeLanguageModel(lambda *_: noise_patches(80, seed))

    one = KeepingModel(slow(1), store, "g").generate(TASK, LATENTS, SEEDED)
    two = KeepingModel(slow(2), store, "g").generate(TASK, LATENTS, SEEDED)
    made: dict[int, list[Generated]] = {1: [], 2: []}
    async with aclosing(one), aclosing(two):
        for _ in range(70):
            made[1].append(await anext(one))
            made[2].append(await anext(two))
    model = slow(3)
    again = await take(KeepingModel(model, store, "g").generate(TASK, LATENTS, SEEDED))
    assert model.resumed == [50]
    kept = np.concatenate([np.stack(piece) for piece in _pieces(tmp_path)])
    assert np.array_equal(kept[:50], np.stack([event.latents for event in made[1][:50]]))
    assert isinstance(again[-1], Finished)


def _pieces(folder: Path) -> list[list[Floats]]:
    import io

    pieces = []
    for path in sorted(folder.rglob("0*-*")):
        data = path.read_bytes()
        pieces.append(list(np.load(io.BytesIO(data[4 + int.from_bytes(data[:4], "little") :]))))
    return pieces


async def test_latents_are_kept_bit_for_bit(tmp_path: Path) -> None:
    store, waveform = FolderStore(tmp_path), np.linspace(-1, 1, 3_200, dtype=np.float32)
    first, second = FakeTokenizer(), FakeTokenizer()
    latents = await KeepingTokenizer(first, store, "l").encode(waveform)
    again = await KeepingTokenizer(second, store, "l").encode(waveform)
    assert np.array_equal(latents, again)
    assert (first.encoded, second.encoded) == ([3_200], [])
    await KeepingTokenizer(second, store, "l").encode(waveform[:-320])
    assert second.encoded == [2_880]


async def test_what_is_followed_is_not_kept(tmp_path: Path) -> None:
    row = Followed(np.zeros((5, 2), np.float32))
    model = FakeLanguageModel(lambda *_: [row])
    kept = KeepingModel(model, FolderStore(tmp_path), "g")
    for _ in range(2):
        first, _ = await take(kept.generate(Follow(text="ab"), LATENTS, SEEDED))
        assert first is row
    assert len(model.tasks) == 2
    assert not list(tmp_path.rglob("*.*"))
