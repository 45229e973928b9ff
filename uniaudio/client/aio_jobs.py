"""Edit jobs for asyncio: `AsyncSpeechClient.jobs`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from uniaudio.client.aio_calls import AsyncCalls
from uniaudio.client.aio_streams import messages_of
from uniaudio.client.audio import AudioSource
from uniaudio.client.channel import EDIT_JOB_SERVICE, TRANSFER_TIMEOUT_SECONDS, WATCH_TIMEOUT_SECONDS
from uniaudio.client.downloads import Download
from uniaudio.client.job_requests import (
    EditItem,
    EditJob,
    UploadedRecording,
    create_request,
    list_request,
    source_key,
)
from uniaudio.client.retries import Retries
from uniaudio.client.uploads import open_upload
from uniaudio.errors import UniaudioError
from uniaudio.v1 import jobs_pb2


class AsyncJobsClient:
    """Edits that outlive the call that asked for them.

        job = await client.jobs.create(batch(["a.wav", "b.wav"], ["remove the noise"]))
        job = await client.jobs.wait(job.job_id)
        content = b"".join([piece async for piece in client.jobs.download(job.job_id)])

    Uploads, watches and downloads go on where they broke off while the service is away, for about 40 s
    without progress. Errors are those of `AsyncSpeechClient`; another caller's job is NotFoundError.
    """

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def upload(
        self,
        audio: AudioSource,
        *,
        sample_rate: int | None = None,
        timeout_seconds: float = TRANSFER_TIMEOUT_SECONDS,
    ) -> UploadedRecording:
        """Stores a recording at the service: a path (never in memory as a whole), bytes, or an array."""
        upload, retries = await asyncio.to_thread(open_upload, audio, sample_rate), Retries()
        while True:
            try:
                answer: jobs_pb2.UploadRecordingResponse = await self._calls.once(
                    EDIT_JOB_SERVICE, "UploadRecording", upload.messages(), timeout_seconds
                )
                return answer.recording
            except UniaudioError as error:
                await asyncio.sleep(retries.pause_after(error))

    async def create(
        self,
        items: Sequence[EditItem],
        *,
        request_id: str = "",
        ttl_seconds: float | None = None,
        timeout_seconds: float = TRANSFER_TIMEOUT_SECONDS,
    ) -> EditJob:
        """The job, once it is stored and will be done. Uploads each recording that is not uploaded yet.

        With a `request_id` of your own, creating again (after a crash, say) gives the same job. Each upload,
        and the creation itself, may take `timeout_seconds`.
        """
        recordings: dict[object, UploadedRecording] = {}
        for item in items:
            if isinstance(item.audio, UploadedRecording):
                recordings[source_key(item)] = item.audio
            elif source_key(item) not in recordings:
                recordings[source_key(item)] = await self.upload(
                    item.audio, sample_rate=item.sample_rate, timeout_seconds=timeout_seconds
                )
        pairs = [(item, recordings[source_key(item)]) for item in items]
        answer: jobs_pb2.CreateEditJobResponse = await self._calls.once(
            EDIT_JOB_SERVICE, "CreateEditJob", create_request(pairs, request_id, ttl_seconds), timeout_seconds
        )
        return answer.job

    async def get(self, job_id: str, *, timeout_seconds: float | None = None) -> EditJob:
        """The job with all its items."""
        request = jobs_pb2.GetEditJobRequest(job_id=job_id)
        answer: jobs_pb2.GetEditJobResponse = await self._calls.once(
            EDIT_JOB_SERVICE, "GetEditJob", request, timeout_seconds
        )
        return answer.job

    async def list(
        self, *, filter: str = "", limit: int | None = None, timeout_seconds: float | None = None
    ) -> AsyncGenerator[EditJob, None]:
        """Your jobs, newest first, without their items, page by page; `job_filter()` writes filters."""
        num_left, page_token = limit, ""
        while num_left is None or num_left > 0:
            size = 100 if num_left is None else num_left
            jobs, page_token = await self.page(
                filter=filter, page_size=size, page_token=page_token, timeout_seconds=timeout_seconds
            )
            for job in jobs:
                yield job
            if not page_token:
                return
            num_left = None if num_left is None else num_left - len(jobs)

    async def page(
        self,
        *,
        filter: str = "",
        page_size: int = 50,
        page_token: str = "",
        timeout_seconds: float | None = None,
    ) -> tuple[Sequence[EditJob], str]:
        """At most `page_size` of your jobs, newest first, without their items, and what asks for the next page."""
        answer: jobs_pb2.ListEditJobsResponse = await self._calls.once(
            EDIT_JOB_SERVICE, "ListEditJobs", list_request(filter, page_token, page_size), timeout_seconds
        )
        return answer.jobs, answer.next_page_token

    async def cancel(self, job_id: str, *, timeout_seconds: float | None = None) -> EditJob:
        """Ends what has not ended; the job as it is then."""
        request = jobs_pb2.CancelEditJobRequest(job_id=job_id)
        answer: jobs_pb2.CancelEditJobResponse = await self._calls.once(
            EDIT_JOB_SERVICE, "CancelEditJob", request, timeout_seconds
        )
        return answer.job

    async def delete(
        self, job_id: str, *, allow_missing: bool = False, timeout_seconds: float | None = None
    ) -> None:
        """Cancels the job where it has not ended, and removes it with its results."""
        request = jobs_pb2.DeleteEditJobRequest(job_id=job_id, allow_missing=allow_missing)
        await self._calls.once(EDIT_JOB_SERVICE, "DeleteEditJob", request, timeout_seconds)

    async def watch(
        self, job_id: str, *, revision: int = 0, timeout_seconds: float = WATCH_TIMEOUT_SECONDS
    ) -> AsyncGenerator[EditJob, None]:
        """The job as it changes, with the items that changed after `revision`, until it has ended."""
        until, retries = time.monotonic() + timeout_seconds, Retries()
        while True:
            request = jobs_pb2.WatchEditJobRequest(job_id=job_id, revision=revision)
            left = max(0.001, until - time.monotonic())
            try:
                call = self._calls.open(EDIT_JOB_SERVICE, "WatchEditJob", request, left)
                async with aclosing(messages_of(call)) as messages:
                    async for message in messages:
                        retries.renew()
                        revision = message.job.revision
                        yield message.job
                return
            except UniaudioError as error:
                await asyncio.sleep(retries.pause_after(error))

    async def wait(self, job_id: str, *, timeout_seconds: float = WATCH_TIMEOUT_SECONDS) -> EditJob:
        """The job with all its items, once it has ended; DeadlineError where it has not in time."""
        async for _ in self.watch(job_id, timeout_seconds=timeout_seconds):
            pass
        return await self.get(job_id)

    async def download(
        self, job_id: str, index: int = 0, *, timeout_seconds: float = TRANSFER_TIMEOUT_SECONDS
    ) -> AsyncGenerator[bytes, None]:
        """What an item made, piece by piece; put end to end, the pieces are the file, its hash checked."""
        download, retries = Download(job_id, index), Retries()
        while True:
            call = self._calls.open(
                EDIT_JOB_SERVICE, "DownloadEditResult", download.request(), timeout_seconds
            )
            try:
                async with aclosing(messages_of(call)) as messages:
                    async for message in messages:
                        retries.renew()
                        if piece := download.take(message):
                            yield piece
                download.check()
                return
            except UniaudioError as error:
                await asyncio.sleep(retries.pause_after(error))
