"""EditJobService: messages in, messages out; the work is in `services.orchestrator.jobs`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

from services.orchestrator import job_translate
from services.orchestrator.admission import Admission
from services.orchestrator.jobs.interface import JobService
from services.orchestrator.live import IDLE_SECONDS, next_within
from services.orchestrator.translate import audio_format
from uniaudio.errors import InvalidInputError, LimitExceededError, NotFoundError, UnavailableError
from uniaudio.runtime.calls import adopt_request_id
from uniaudio.runtime.server import Service
from uniaudio.v1 import jobs_pb2, jobs_pb2_grpc

SERVICE_NAME = "uniaudio.v1.EditJobService"
MAX_PIECE_BYTES = 1 << 20

T = TypeVar("T")
CallerName = Callable[[], str]
"""Who makes the running call."""


class EditJobServicer(jobs_pb2_grpc.EditJobServiceServicer):
    """Jobs on the wire. Transfers and watches are bounded apart from each other and from short calls."""

    def __init__(
        self, jobs: JobService, caller: CallerName, *, transfers: Admission, watches: Admission
    ) -> None:
        self._jobs = jobs
        self._caller = caller
        self._transfers = transfers
        self._watches = watches
        self._leaving = asyncio.Event()

    async def check_ready(self) -> None:
        """Returns when jobs could be accepted now; raises UnavailableError otherwise."""
        await self._jobs.check_ready()

    def leave(self) -> None:
        """Ends all watches: their callers go on elsewhere, where a stop would wait for them in vain."""
        self._leaving.set()

    async def UploadRecording(
        self, requests: AsyncIterator[jobs_pb2.UploadRecordingRequest], context: Any
    ) -> jobs_pb2.UploadRecordingResponse:
        first = await next_within(IDLE_SECONDS, requests)
        if first is None or first.WhichOneof("message") != "config":
            raise _out_of_place("the first message", "config")
        config = first.config
        adopt_request_id(config.request_id)
        async with self._transfers.place(), aclosing(_content_of(requests)) as pieces:
            recording = await self._jobs.upload(
                self._caller(), audio_format(config.format), pieces, sha256=config.sha256
            )
        return jobs_pb2.UploadRecordingResponse(recording=job_translate.recording_message(recording))

    async def CreateEditJob(
        self, request: jobs_pb2.CreateEditJobRequest, context: Any
    ) -> jobs_pb2.CreateEditJobResponse:
        # Only an id that was meant for this job makes a creation the same; one of the metadata may be shared.
        request_id = adopt_request_id(request.request_id or uuid.uuid4().hex)
        job = await self._jobs.create(self._caller(), request_id, job_translate.job_spec(request))
        return jobs_pb2.CreateEditJobResponse(job=job_translate.job_message(job))

    async def GetEditJob(
        self, request: jobs_pb2.GetEditJobRequest, context: Any
    ) -> jobs_pb2.GetEditJobResponse:
        job = await self._jobs.get(self._caller(), request.job_id)
        return jobs_pb2.GetEditJobResponse(job=job_translate.job_message(job))

    async def ListEditJobs(
        self, request: jobs_pb2.ListEditJobsRequest, context: Any
    ) -> jobs_pb2.ListEditJobsResponse:
        page = await self._jobs.list(self._caller(), job_translate.job_query(request))
        return job_translate.list_response(page)

    async def CancelEditJob(
        self, request: jobs_pb2.CancelEditJobRequest, context: Any
    ) -> jobs_pb2.CancelEditJobResponse:
        job = await self._jobs.cancel(self._caller(), request.job_id)
        return jobs_pb2.CancelEditJobResponse(job=job_translate.job_message(job))

    async def DeleteEditJob(
        self, request: jobs_pb2.DeleteEditJobRequest, context: Any
    ) -> jobs_pb2.DeleteEditJobResponse:
        try:
            await self._jobs.delete(self._caller(), request.job_id)
        except NotFoundError:
            if not request.allow_missing:
                raise
        return jobs_pb2.DeleteEditJobResponse()

    async def WatchEditJob(
        self, request: jobs_pb2.WatchEditJobRequest, context: Any
    ) -> AsyncGenerator[jobs_pb2.WatchEditJobResponse, None]:
        changes = self._jobs.watch(self._caller(), request.job_id, after_revision=request.revision)
        async with self._watches.place(), aclosing(changes):
            while (job := await self._unless_leaving(anext(changes, None))) is not None:
                yield jobs_pb2.WatchEditJobResponse(job=job_translate.job_message(job))

    async def DownloadEditResult(
        self, request: jobs_pb2.DownloadEditResultRequest, context: Any
    ) -> AsyncGenerator[jobs_pb2.DownloadEditResultResponse, None]:
        async with self._transfers.place():
            artifact = await self._jobs.result(self._caller(), request.job_id, request.index)
            async with aclosing(self._jobs.read_result(artifact, offset=request.offset)) as pieces:
                yield jobs_pb2.DownloadEditResultResponse(result=job_translate.result_message(artifact))
                async for piece in pieces:
                    chunk = job_translate.chunk_message(artifact.format, piece)
                    yield jobs_pb2.DownloadEditResultResponse(audio=chunk)

    async def _unless_leaving(self, wanted: Awaitable[T]) -> T:
        """What is awaited; UnavailableError as soon as this process goes away."""
        waiting, leaving = asyncio.ensure_future(wanted), asyncio.ensure_future(self._leaving.wait())
        try:
            await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return waiting.result()
            raise UnavailableError(
                "the service goes away; watch again from the last revision",
                value="a service that stops",
                limit="one that runs",
                remedy="watch again from the last revision",
            )
        finally:
            for one in (waiting, leaving):
                one.cancel()
            await asyncio.gather(waiting, leaving, return_exceptions=True)


def edit_job_service(servicer: EditJobServicer) -> Service:
    """EditJobService; its health is whether jobs could be accepted."""
    return Service(
        name=SERVICE_NAME,
        register=lambda server: jobs_pb2_grpc.add_EditJobServiceServicer_to_server(servicer, server),
        probe=servicer.check_ready,
    )


async def _content_of(
    requests: AsyncIterator[jobs_pb2.UploadRecordingRequest],
) -> AsyncGenerator[bytes, None]:
    """The bytes of an upload, each piece within its bound and its time."""
    while (request := await next_within(IDLE_SECONDS, requests)) is not None:
        if request.WhichOneof("message") != "content":
            raise _out_of_place("every message after the first", "content")
        if len(request.content) > MAX_PIECE_BYTES:
            raise LimitExceededError(
                f"a message carries {len(request.content)} bytes, the limit is {MAX_PIECE_BYTES}; "
                "send smaller pieces",
                value=len(request.content),
                limit=MAX_PIECE_BYTES,
                remedy="send smaller pieces",
            )
        yield request.content


def _out_of_place(which: str, expected: str) -> InvalidInputError:
    return InvalidInputError(
        f"{which} of an upload must carry {expected}; send the configuration once, then content",
        value="something else",
        limit=expected,
        remedy="send the configuration once, then content",
    )
