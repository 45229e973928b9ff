"""EditJobService on a real gRPC server before jobs in memory: what the wire says, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from services.orchestrator.domain import Sampling
from services.orchestrator.jobs.model import EditStep, Failure, Progress, State
from tests.fakes_jobs import CALLER, NOW, FakeJobs, finish_all, job_server
from tests.orchestrator_house import everything, info_of, refused
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.editing.plan import EditEngine
from uniaudio.errors import InvalidAudioError
from uniaudio.v1 import audio_pb2, edits_pb2, jobs_pb2, jobs_pb2_grpc, llm_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
WAV = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_WAV)


class Wire:
    """A running server before `fake`, and the stub to it."""

    def __init__(self, fake: FakeJobs, stub: jobs_pb2_grpc.EditJobServiceAsyncStub) -> None:
        self.fake = fake
        self.stub = stub

    async def create(self, *items: jobs_pb2.EditJobItemSpec, request_id: str = "") -> jobs_pb2.EditJob:
        request = jobs_pb2.CreateEditJobRequest(request_id=request_id, items=items or [item()])
        return (await self.stub.CreateEditJob(request, timeout=20)).job

    def watch(self, job_id: str, revision: int = 0):
        request = jobs_pb2.WatchEditJobRequest(job_id=job_id, revision=revision)
        return self.stub.WatchEditJob(request, timeout=20)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    fake = FakeJobs()
    server = job_server(fake, max_watches=1)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Wire(fake, jobs_pb2_grpc.EditJobServiceStub(channel))
    await server.stop()
    assert fake.num_watching == 0


def item(*instructions: str, label: str = "") -> jobs_pb2.EditJobItemSpec:
    edits = [jobs_pb2.EditStep(instruction=text) for text in instructions or ("faster",)]
    return jobs_pb2.EditJobItemSpec(recording_id="0" * 32, edits=edits, output_format=WAV, label=label)


def upload(*pieces: bytes, **config: object) -> list[jobs_pb2.UploadRecordingRequest]:
    first = jobs_pb2.UploadRecordingConfig(**config)  # type: ignore[arg-type]
    return [
        jobs_pb2.UploadRecordingRequest(config=first),
        *(jobs_pb2.UploadRecordingRequest(content=piece) for piece in pieces),
    ]


async def test_an_upload_is_put_together(wire: Wire) -> None:
    answer = await wire.stub.UploadRecording(upload(b"abc", b"def", format=WAV), timeout=20)
    recording = answer.recording
    assert (recording.size_bytes, recording.audio_seconds) == (6, 1.5)
    assert recording.format.encoding == audio_pb2.AUDIO_ENCODING_WAV
    assert recording.expire_time.ToSeconds() == NOW + 100
    assert wire.fake.recordings[recording.recording_id].caller == CALLER


async def test_uploads_that_do_not_keep_the_order_are_refused(wire: Wire) -> None:
    content = jobs_pb2.UploadRecordingRequest(content=b"abc")
    call = wire.stub.UploadRecording([content], timeout=20)
    await refused(call, INVALID, "INVALID_INPUT", "must carry config")
    call = wire.stub.UploadRecording(upload() * 2, timeout=20)
    await refused(call, INVALID, "INVALID_INPUT", "must carry content")
    call = wire.stub.UploadRecording([], timeout=20)
    await refused(call, INVALID, "INVALID_INPUT", "must carry config")


async def test_pieces_are_bounded(wire: Wire) -> None:
    call = wire.stub.UploadRecording(upload(bytes((1 << 20) + 1)), timeout=20)
    told = await refused(call, INVALID, "LIMIT_EXCEEDED")
    assert told["limit"] == str(1 << 20)


async def test_a_creation_says_what_was_asked_for(wire: Wire) -> None:
    step = jobs_pb2.EditStep(
        instruction="denoise",
        engine=edits_pb2.EDIT_ENGINE_MODEL,
        transcript="hello",
        regenerate_untouched=True,
        sampling=llm_pb2.SamplingOptions(seed=7, guidance_scale=2.0),
    )
    spec = jobs_pb2.EditJobItemSpec(recording_id="1" * 32, edits=[step], output_format=WAV, label="a.wav")
    request = jobs_pb2.CreateEditJobRequest(request_id="mine", items=[spec], ttl=Duration(seconds=90))
    job = (await wire.stub.CreateEditJob(request, timeout=20)).job
    request_id, asked = wire.fake.specs[0]
    assert (request_id, asked.ttl_seconds) == ("mine", 90.0)
    assert asked.items[0].label == "a.wav"
    assert asked.items[0].output == AudioFormat(encoding=AudioEncoding.WAV)
    assert asked.items[0].steps == (
        EditStep(
            instruction="denoise",
            engine=EditEngine.MODEL,
            transcript="hello",
            regenerate_untouched=True,
            sampling=Sampling(seed=7, guidance_scale=2.0),
        ),
    )
    assert (job.caller, job.request_id, job.state) == (CALLER, "mine", jobs_pb2.EDIT_JOB_STATE_QUEUED)
    assert job.items[0].spec == spec
    assert not job.HasField("start_time")


async def test_only_a_request_id_of_its_own_makes_a_creation_the_same(wire: Wire) -> None:
    first, second = await wire.create(request_id="mine"), await wire.create(request_id="mine")
    assert first.job_id == second.job_id
    request = jobs_pb2.CreateEditJobRequest(items=[item()])
    for _ in range(2):
        await wire.stub.CreateEditJob(request, metadata=(("x-request-id", "shared"),), timeout=20)
    assert len(wire.fake.jobs) == 3
    call = wire.stub.CreateEditJob(jobs_pb2.CreateEditJobRequest(request_id="x" * 129), timeout=20)
    await refused(call, INVALID, "INVALID_REQUEST_ID")


async def test_numbers_that_mean_nothing_are_refused(wire: Wire) -> None:
    odd = item()
    odd.edits[0].engine = 9  # type: ignore[assignment]
    await refused(wire.create(odd), INVALID, "INVALID_INPUT", "engine is 9")
    odd = item()
    odd.output_format.encoding = 99  # type: ignore[assignment]
    await refused(wire.create(odd), INVALID, "INVALID_INPUT", "encoding")
    odd = item()
    odd.edits[0].sampling.temperature = 9
    await refused(wire.create(odd), INVALID, "INVALID_INPUT", "temperature")


async def test_an_item_tells_everything_about_itself(wire: Wire) -> None:
    job = await wire.create(item(label="a"), item("faster", "louder", label="b"))
    failure = Failure.of(
        InvalidAudioError("no sound in it", value="silence", limit="sound", remedy="send one")
    )
    wire.fake.change(
        job.job_id,
        0,
        state=State.QUEUED,
        num_attempts=2,
        retry_at=NOW + 9.5,
        failure=failure,
        progress=Progress(step=0, stage="speaking", fraction=0.5),
    )
    wire.fake.finish(job.job_id, 1)
    got = (await wire.stub.GetEditJob(jobs_pb2.GetEditJobRequest(job_id=job.job_id), timeout=20)).job
    waiting, done = got.items
    assert (waiting.attempts, waiting.retry_time.ToMilliseconds()) == (2, 1000 * NOW + 9500)
    assert (waiting.error.code, waiting.error.reason) == (INVALID.value[0], "INVALID_AUDIO")
    assert dict(waiting.error.metadata) == {"value": "silence", "limit": "sound", "remedy": "send one"}
    assert (waiting.progress.stage, waiting.progress.fraction, waiting.revision) == ("speaking", 0.5, 2)
    assert (done.state, done.step, len(done.reports)) == (jobs_pb2.EDIT_JOB_STATE_SUCCEEDED, 1, 2)
    assert done.reports[0].plan.summary == "Twice as fast."
    assert (done.result.size_bytes, done.result.audio_seconds) == (4000, 1.5)
    assert not done.HasField("error")
    assert (got.state, got.counts.succeeded, got.counts.total) == (jobs_pb2.EDIT_JOB_STATE_RUNNING, 1, 2)
    assert (got.revision, got.fraction) == (3, 0.5)


async def test_lists_come_in_pages_by_filter(wire: Wire) -> None:
    for _ in range(3):
        await wire.create()
    finish_all(wire.fake, wire.fake.jobs[f"{1:032x}"])

    async def ask(**fields: object) -> jobs_pb2.ListEditJobsResponse:
        return await wire.stub.ListEditJobs(jobs_pb2.ListEditJobsRequest(**fields), timeout=20)  # type: ignore[arg-type]

    first = await ask(page_size=2)
    assert [int(job.job_id, 16) for job in first.jobs] == [2, 1]
    assert not first.jobs[0].items
    last = await ask(page_size=2, page_token=first.next_page_token)
    assert ([int(job.job_id, 16) for job in last.jobs], last.next_page_token) == ([0], "")
    done = await ask(filter="state = SUCCEEDED")
    assert [int(job.job_id, 16) for job in done.jobs] == [1]
    await refused(ask(filter="caller = me"), INVALID, "INVALID_FILTER")


async def test_cancel_and_delete(wire: Wire) -> None:
    job = await wire.create()
    call = wire.stub.CancelEditJob(jobs_pb2.CancelEditJobRequest(job_id=job.job_id), timeout=20)
    assert (await call).job.state == jobs_pb2.EDIT_JOB_STATE_CANCELLED
    gone = jobs_pb2.DeleteEditJobRequest(job_id=job.job_id)
    await wire.stub.DeleteEditJob(gone, timeout=20)
    await refused(wire.stub.DeleteEditJob(gone, timeout=20), grpc.StatusCode.NOT_FOUND, "NOT_FOUND")
    gone.allow_missing = True
    await wire.stub.DeleteEditJob(gone, timeout=20)
    call = wire.stub.GetEditJob(jobs_pb2.GetEditJobRequest(job_id=job.job_id), timeout=20)
    await refused(call, grpc.StatusCode.NOT_FOUND, "NOT_FOUND")


async def test_a_watch_sends_what_changed_and_ends_with_the_job(wire: Wire) -> None:
    job = await wire.create(item(), item())
    call = wire.watch(job.job_id)
    answers = aiter(call)
    assert len((await anext(answers)).job.items) == 2
    wire.fake.finish(job.job_id, 1)
    second = (await anext(answers)).job
    assert [one.index for one in second.items] == [1]
    wire.fake.finish(job.job_id, 0)
    last = [answer.job async for answer in call]
    assert [one.state for one in last] == [jobs_pb2.EDIT_JOB_STATE_SUCCEEDED]
    resumed = await everything(wire.watch(job.job_id, second.revision))
    assert [[one.index for one in answer.job.items] for answer in resumed] == [[0]]


async def test_watches_are_bounded_and_a_caller_that_leaves_frees_its_place(wire: Wire) -> None:
    job = await wire.create()
    first = wire.watch(job.job_id)
    await anext(aiter(first))
    await refused(wire.watch(job.job_id), grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    first.cancel()
    async with asyncio.timeout(20):
        while wire.fake.num_watching:
            await asyncio.sleep(0.01)
    await anext(aiter(wire.watch(job.job_id)))


async def test_a_stop_sends_watchers_away_at_once() -> None:
    fake = FakeJobs()
    server = job_server(fake)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        wire = Wire(fake, jobs_pb2_grpc.EditJobServiceStub(channel))
        call = wire.watch((await wire.create()).job_id)
        await anext(aiter(call))
        await server.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await everything(call)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "watch again" in info_of(caught.value).metadata["remedy"]


async def test_downloads_begin_where_they_are_asked_to(wire: Wire) -> None:
    job = await wire.create()
    wire.fake.finish(job.job_id, 0, bytes(range(256)) * 10)
    request = jobs_pb2.DownloadEditResultRequest(job_id=job.job_id, offset=100)
    first, *pieces = await everything(wire.stub.DownloadEditResult(request, timeout=20))
    assert first.result.size_bytes == 2560
    assert b"".join(piece.audio.content for piece in pieces) == (bytes(range(256)) * 10)[100:]
    assert {piece.audio.format.encoding for piece in pieces} == {audio_pb2.AUDIO_ENCODING_WAV}


async def test_no_result_no_download(wire: Wire) -> None:
    job = await wire.create()
    call = wire.stub.DownloadEditResult(jobs_pb2.DownloadEditResultRequest(job_id=job.job_id), timeout=20)
    await refused(call, grpc.StatusCode.FAILED_PRECONDITION, "NO_RESULT")
