"""Jobs from the client to SQLite, workers and objects and back; only the models are faked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from services.orchestrator.clients import Edit, Generated, Task, Understand
from services.orchestrator.domain import Sampling
from tests.fakes_speech import FakeLanguageModel, Floats, noise_patches, reading, tone
from tests.job_service_house import JobHouse, running_jobs
from uniaudio.audio.encode import wav_header
from uniaudio.client import EditItem, batch, edit_step, job_filter, sampling, state_of
from uniaudio.errors import (
    InvalidAudioError,
    InvalidInputError,
    ModelOutputError,
    NotFoundError,
    PreconditionError,
    UnknownInstructionError,
)

LOUDER = "make it twice as loud"
SAD = "make it sound sad"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[JobHouse]:
    async with running_jobs(tmp_path / "jobs", FakeLanguageModel(reading())) as house:
        yield house


def item(*edits, seconds: float = 1.0, label: str = "") -> EditItem:
    return EditItem(
        audio=tone(seconds, level=0.1), sample_rate=16000, edits=edits, output_format="pcm_f32", label=label
    )


async def fetched(house: JobHouse, job_id: str, index: int = 0) -> Floats:
    content = b"".join([piece async for piece in house.client.jobs.download(job_id, index)])
    return np.frombuffer(content, "<f4")


async def test_a_batch_from_recordings_to_results(house: JobHouse) -> None:
    jobs = house.client.jobs
    job = await jobs.create([item(LOUDER, label="one"), item(LOUDER, LOUDER, seconds=2.0, label="two")])
    done = await jobs.wait(job.job_id)
    assert [state_of(one) for one in (done, *done.items)] == ["succeeded"] * 3
    assert (done.counts.succeeded, done.fraction, done.caller) == (2, 1.0, "ada")
    assert [len(one.reports) for one in done.items] == [1, 2]
    np.testing.assert_allclose(await fetched(house, job.job_id, 0), tone(1.0, level=0.2), atol=1e-6)
    np.testing.assert_allclose(await fetched(house, job.job_id, 1), tone(2.0, level=0.4), atol=1e-6)


async def test_one_recording_and_many_instructions(house: JobHouse) -> None:
    recording = await house.client.jobs.upload(tone(1.0), sample_rate=16000)
    assert (recording.audio_seconds, recording.size_bytes) == (1.0, 64000)
    job = await house.client.jobs.create(batch([recording], [LOUDER, SAD, "make it 1.5 times faster"]))
    done = await house.client.jobs.wait(job.job_id)
    assert [state_of(one) for one in done.items] == ["succeeded"] * 3
    assert {one.spec.recording_id for one in done.items} == {recording.recording_id}
    seeds = [one.spec.edits[0].sampling.seed for one in done.items]
    assert all(seeds)
    assert done.items[1].reports[0].seed == seeds[1]


async def test_an_item_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    def script(task: Task, latents: Floats | None, options: Sampling) -> list[Generated]:
        if isinstance(task, Edit):
            raise ModelOutputError(
                "no audio came", value="0 patches", limit="some", remedy="try another seed"
            )
        return reading()(task, latents, options)

    async with running_jobs(tmp_path / "jobs", FakeLanguageModel(script)) as house:
        job = await house.client.jobs.create([item(SAD), item(LOUDER)])
        done = await house.client.jobs.wait(job.job_id)
        assert [state_of(one) for one in (done, *done.items)] == ["failed", "failed", "succeeded"]
        assert done.items[0].error.reason == "MODEL_OUTPUT"
        assert done.items[0].error.metadata["remedy"] == "try another seed"
        with pytest.raises(PreconditionError) as caught:
            await fetched(house, job.job_id, 0)
        assert caught.value.reason == "NO_RESULT"


async def test_creating_again_is_the_same_job(house: JobHouse) -> None:
    jobs = house.client.jobs
    first = await jobs.create([item(LOUDER)], request_id="mine")
    assert (await jobs.create([item(LOUDER)], request_id="mine")).job_id == first.job_id
    with pytest.raises(PreconditionError) as caught:
        await jobs.create([item(SAD)], request_id="mine")
    assert caught.value.reason == "REQUEST_ID_REUSED"
    await jobs.wait(first.job_id)


async def test_what_can_never_work_is_refused_at_once(house: JobHouse) -> None:
    jobs = house.client.jobs
    with pytest.raises(InvalidAudioError):
        await jobs.upload(b"this is no recording")
    with pytest.raises(InvalidAudioError):
        await jobs.upload(b"")
    with pytest.raises(UnknownInstructionError):
        await jobs.create([item(edit_step(SAD, engine="exact"))])
    with pytest.raises(InvalidInputError, match="edits of an item"):
        await jobs.create([item()])
    with pytest.raises(InvalidInputError, match="items in a job"):
        await jobs.create([])
    with pytest.raises(InvalidInputError, match="seconds to keep"):
        await jobs.create([item(LOUDER)], ttl_seconds=1e8)


async def test_callers_see_their_own_alone(house: JobHouse) -> None:
    jobs = house.client.jobs
    recording = await jobs.upload(tone(1.0), sample_rate=16000)
    job = await jobs.create(batch([recording], [LOUDER]))
    await jobs.wait(job.job_id)
    house.caller = "eve"
    for attempt in (
        jobs.get(job.job_id),
        jobs.cancel(job.job_id),
        jobs.delete(job.job_id),
        fetched(house, job.job_id),
        jobs.wait(job.job_id),
        jobs.create(batch([recording], [LOUDER])),
    ):
        with pytest.raises(NotFoundError):
            await attempt
    assert [one async for one in jobs.list()] == []
    house.caller = "ada"
    await jobs.get(job.job_id)


async def test_lists_by_state_and_page(house: JobHouse) -> None:
    jobs = house.client.jobs
    recording = await jobs.upload(tone(1.0), sample_rate=16000)
    made = [(await jobs.create(batch([recording], [LOUDER]))).job_id for _ in range(3)]
    for job_id in made:
        await jobs.wait(job_id)
    done = job_filter(states=["succeeded"])
    assert [one.job_id async for one in jobs.list(filter=done)] == made[::-1]
    assert [one async for one in jobs.list(filter=job_filter(states=["failed", "running"]))] == []
    assert [one.job_id async for one in jobs.list(limit=2)] == made[:0:-1]


async def test_a_running_job_is_cancelled(tmp_path: Path) -> None:
    gate = asyncio.Event()
    model = FakeLanguageModel(reading(), pause=lambda index: gate if index else None)
    async with running_jobs(tmp_path / "jobs", model) as house:
        jobs = house.client.jobs
        job = await jobs.create([item(SAD), item(SAD), item(SAD), item(SAD)])
        while model.num_open < 2:
            await asyncio.sleep(0.01)
        cancelled = await jobs.cancel(job.job_id)
        assert [state_of(one) for one in (cancelled, *cancelled.items)] == ["cancelled"] * 5
        assert state_of(await jobs.wait(job.job_id)) == "cancelled"
        while model.num_open:
            await asyncio.sleep(0.01)
        await jobs.delete(job.job_id)
        with pytest.raises(NotFoundError):
            await jobs.get(job.job_id)


async def test_a_stop_in_the_middle_loses_nothing(tmp_path: Path) -> None:
    """The client waits through it, and the result is the one that an undisturbed service makes."""

    def script(task: Task, latents: Floats | None, options: Sampling) -> list[Generated]:
        if isinstance(task, Understand):
            return reading()(task, latents, options)
        return list(noise_patches(80, options.seed or 0))

    asked = item(edit_step(SAD, sampling=sampling(seed=7)))
    async with running_jobs(tmp_path / "undisturbed", FakeLanguageModel(script)) as house:
        job = await house.client.jobs.create([asked])
        await house.client.jobs.wait(job.job_id)
        expected = await fetched(house, job.job_id)
    gate = asyncio.Event()
    model = FakeLanguageModel(script, pause=lambda index: gate if index == 60 else None)
    async with running_jobs(tmp_path / "jobs", model, grace_seconds=0.1) as house:
        job = await house.client.jobs.create([asked])
        while model.num_made < 60:
            await asyncio.sleep(0.01)
        port = house.port
    second = FakeLanguageModel(script)
    async with running_jobs(tmp_path / "jobs", second, port=port) as house:
        done = await house.client.jobs.wait(job.job_id)
        assert (state_of(done), second.resumed) == ("succeeded", [50])
        np.testing.assert_array_equal(await fetched(house, job.job_id), expected)


async def test_an_hour_is_taken_in_bounded_memory(house: JobHouse, tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    num_samples = 3600 * 16_000
    with path.open("wb") as file:
        file.write(wav_header(16_000, num_samples))
        file.truncate(44 + 2 * num_samples)
    await house.client.jobs.upload(tone(1.0), sample_rate=16000)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the highest memory so far
    before = _highest_memory()
    recording = await house.client.jobs.upload(path)
    assert (recording.audio_seconds, recording.size_bytes) == (3600.0, path.stat().st_size)
    assert _highest_memory() - before < path.stat().st_size / 4  # client and service together


def _highest_memory() -> int:
    """Bytes of this process at their highest."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
