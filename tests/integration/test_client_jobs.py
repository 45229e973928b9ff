"""Both clients against the real job servicer before jobs in memory: the whole way, and what breaks on it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from services.orchestrator.jobs.model import State
from tests.fakes_jobs import AWAY, FakeJobs, finish_all, job_server, served_jobs
from uniaudio.client import AsyncSpeechClient, EditItem, SpeechClient, batch, has_ended, state_of
from uniaudio.errors import DeadlineError, NotFoundError, PreconditionError, QueueFullError, UnavailableError

AUDIO = np.zeros(4000, np.float32)


@pytest.fixture
def served() -> Iterator[tuple[FakeJobs, str]]:
    with served_jobs(FakeJobs()) as served:
        yield served


@pytest.fixture
def fake(served: tuple[FakeJobs, str]) -> FakeJobs:
    return served[0]


@pytest.fixture
def client(served: tuple[FakeJobs, str]) -> Iterator[SpeechClient]:
    with SpeechClient(served[1], timeout_seconds=20) as client:
        yield client


def later(work) -> threading.Thread:
    """Does `work` in a thread while the test waits."""

    def run() -> None:
        time.sleep(0.05)
        work()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_way_of_a_job(fake: FakeJobs, client: SpeechClient, tmp_path: Path) -> None:
    fake.work = finish_all
    path = tmp_path / "in.wav"
    path.write_bytes(bytes(300_000))
    job = client.jobs.create(batch([path, b"other"], ["faster", "louder"]), request_id="mine")
    assert len(fake.recordings) == 2
    assert [item.spec.label for item in job.items] == ["in.wav", "in.wav", "", ""]
    done = client.jobs.wait(job.job_id)
    assert (state_of(done), has_ended(done), len(done.items)) == ("succeeded", True, 4)
    content = b"".join(client.jobs.download(job.job_id, 3))
    assert content.startswith(b"RIFF")
    assert len(content) == done.items[3].result.size_bytes
    assert client.jobs.create(batch([path], ["faster"]), request_id="mine").job_id == job.job_id


def test_a_chain_is_one_item(fake: FakeJobs, client: SpeechClient) -> None:
    item = EditItem(
        audio=AUDIO, sample_rate=16000, edits=["faster", "louder"], output_format="flac", label="a"
    )
    job = client.jobs.create([item], ttl_seconds=60)
    assert [edit.instruction for edit in job.items[0].spec.edits] == ["faster", "louder"]
    assert fake.specs[0][1].ttl_seconds == 60


def test_a_recording_serves_many_jobs(fake: FakeJobs, client: SpeechClient) -> None:
    recording = client.jobs.upload(AUDIO, sample_rate=16000)
    client.jobs.create(batch([recording], ["faster"]))
    client.jobs.create(batch([recording], ["louder"]))
    assert len(fake.recordings) == 1
    assert {spec.items[0].recording_id for _, spec in fake.specs} == {recording.recording_id}


def test_lists_go_through_all_pages(fake: FakeJobs, client: SpeechClient) -> None:
    recording = client.jobs.upload(b"x")
    for _ in range(5):
        client.jobs.create(batch([recording], ["faster"]))
    assert [int(job.job_id, 16) for job in client.jobs.list()] == [4, 3, 2, 1, 0]
    assert len(list(client.jobs.list(limit=2))) == 2
    fake.change(f"{3:032x}", 0, state=State.FAILED)
    assert [int(job.job_id, 16) for job in client.jobs.list(filter="state = FAILED")] == [3]


def test_cancel_and_delete(fake: FakeJobs, client: SpeechClient) -> None:
    job = client.jobs.create(batch([b"x"], ["faster"]))
    assert state_of(client.jobs.cancel(job.job_id)) == "cancelled"
    client.jobs.delete(job.job_id)
    with pytest.raises(NotFoundError):
        client.jobs.get(job.job_id)
    with pytest.raises(NotFoundError):
        client.jobs.delete(job.job_id)
    client.jobs.delete(job.job_id, allow_missing=True)


def test_a_watch_goes_on_after_the_last_revision(fake: FakeJobs, client: SpeechClient) -> None:
    job = client.jobs.create(batch([b"x", b"y"], ["faster"]))
    fake.break_watch_after = 1

    def work() -> None:
        fake.finish(job.job_id, 0)
        while len(fake.watched_from) < 2:
            time.sleep(0.01)
        fake.finish(job.job_id, 1)

    thread = later(work)
    seen = list(client.jobs.watch(job.job_id))
    thread.join()
    assert fake.watched_from == [0, 1]
    assert [[item.index for item in one.items] for one in seen] == [[0, 1], [0], [1]]
    assert state_of(seen[-1]) == "succeeded"


def test_a_watch_of_what_has_ended_ends(fake: FakeJobs, client: SpeechClient) -> None:
    fake.work = finish_all
    job = client.jobs.create(batch([b"x"], ["faster"]))
    (last,) = client.jobs.watch(job.job_id, revision=job.revision)
    assert (state_of(last), len(last.items)) == ("succeeded", 0)


def test_a_wait_has_its_deadline(client: SpeechClient) -> None:
    job = client.jobs.create(batch([b"x"], ["faster"]))
    with pytest.raises(DeadlineError):
        client.jobs.wait(job.job_id, timeout_seconds=0.3)


def test_a_download_goes_on_at_the_byte_where_it_broke_off(fake: FakeJobs, client: SpeechClient) -> None:
    fake.work = finish_all
    job = client.jobs.create(batch([b"x"], ["faster"]))
    fake.break_read_after = 2
    content = b"".join(client.jobs.download(job.job_id))
    assert content == b"RIFF" + bytes(3996)
    assert fake.read_from == [0, 2000]


def test_an_upload_is_sent_again(fake: FakeJobs, client: SpeechClient) -> None:
    fake.failures["upload"] = [AWAY, QueueFullError("full", value=1, limit=1, remedy="wait")]
    assert client.jobs.upload(b"x" * 700_000).size_bytes == 700_000


def test_what_cannot_be_cured_is_raised_at_once(fake: FakeJobs, client: SpeechClient) -> None:
    job = client.jobs.create(batch([b"x"], ["faster"]))
    with pytest.raises(PreconditionError) as caught:
        list(client.jobs.download(job.job_id))
    assert caught.value.reason == "NO_RESULT"
    with pytest.raises(NotFoundError):
        list(client.jobs.watch("f" * 32))
    fake.failures["get"] = [AWAY] * 9
    with pytest.raises(UnavailableError):
        client.jobs.get(job.job_id)


async def test_async_does_the_same(served: tuple[FakeJobs, str]) -> None:
    fake, address = served
    fake.failures["upload"] = [AWAY]
    async with AsyncSpeechClient(address, timeout_seconds=20) as client:
        job = await client.jobs.create(batch([b"x", b"y"], ["faster"]))
        fake.break_watch_after, fake.break_read_after = 1, 1

        def work() -> None:
            fake.finish(job.job_id, 0)
            while len(fake.watched_from) < 2:
                time.sleep(0.01)
            fake.finish(job.job_id, 1)

        thread = later(work)
        done = await client.jobs.wait(job.job_id)
        thread.join()
        assert (state_of(done), fake.watched_from) == ("succeeded", [0, 1])
        content = b"".join([piece async for piece in client.jobs.download(job.job_id, 1)])
        assert (len(content), fake.read_from) == (4000, [0, 1000])
        assert [one.job_id async for one in client.jobs.list(limit=5)] == [job.job_id]
        assert state_of(await client.jobs.cancel(job.job_id)) == "succeeded"
        await client.jobs.delete(job.job_id)
        with pytest.raises(NotFoundError):
            await client.jobs.get(job.job_id)


def test_leaving_a_watch_ends_it(fake: FakeJobs, client: SpeechClient) -> None:
    job = client.jobs.create(batch([b"x"], ["faster"]))
    for _ in client.jobs.watch(job.job_id):
        break
    deadline = time.monotonic() + 20
    while fake.num_watching:
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_watch_outlives_the_service() -> None:
    fake = FakeJobs()
    server = job_server(fake)
    port = await server.start()
    async with AsyncSpeechClient(f"127.0.0.1:{port}", timeout_seconds=20) as client:
        job = await client.jobs.create(batch([b"x", b"y"], ["faster"]))
        waiting = asyncio.create_task(client.jobs.wait(job.job_id, timeout_seconds=60))
        while not fake.num_watching:
            await asyncio.sleep(0.01)
        await server.stop()
        fake.finish(job.job_id, 0)
        server = job_server(fake, port)
        await server.start()
        fake.finish(job.job_id, 1)
        assert state_of(await waiting) == "succeeded"
    await server.stop()
    assert fake.watched_from == [0, 1]
