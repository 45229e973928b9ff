"""Where callers come: recordings in, jobs made and followed, results out."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from services.orchestrator.edit import check_edit
from services.orchestrator.jobs.batches import Batcher
from services.orchestrator.jobs.dispatch import Dispatcher
from services.orchestrator.jobs.files import read_chunks, scratch, write_chunks
from services.orchestrator.jobs.model import (
    MAX_RECORDING_BYTES,
    Artifact,
    Job,
    JobPage,
    JobQuery,
    JobSpec,
    Recording,
    State,
)
from services.orchestrator.jobs.probe import probe_seconds
from services.orchestrator.jobs.processing import order_of
from services.orchestrator.jobs.recording_store import RecordingStore
from services.orchestrator.jobs.revisions import Revisions
from services.orchestrator.jobs.store import Created, JobStore, NewJob, new_job, no_job
from services.orchestrator.jobs.transitions import ItemKey
from uniaudio.audio.formats import AudioFormat
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidInputError, NotFoundError, PreconditionError, UnavailableError
from uniaudio.file_digest import sha256_of_file
from uniaudio.runtime.guard.meter import current_meter
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.object_store import ObjectStore

log = get_logger(__name__)

_SEND_SECONDS = 1.0


class JobDesk:
    """The `JobService` of this process."""

    def __init__(
        self,
        jobs: JobStore,
        recordings: RecordingStore,
        store: ObjectStore,
        dispatcher: Dispatcher,
        *,
        limits: AudioLimits | None = None,
        scratch_folder: Path | None = None,
    ) -> None:
        self._jobs = jobs
        self._recordings = recordings
        self._store = store
        self._dispatcher = dispatcher
        self._limits = limits or AudioLimits(max_encoded_bytes=MAX_RECORDING_BYTES)
        self._scratch_folder = scratch_folder
        self._revisions = Revisions(jobs.revisions)
        self._create: Batcher[NewJob, Created] = Batcher(self._jobs.create)

    async def upload(
        self, caller: str, format: AudioFormat, chunks: AsyncIterable[bytes], *, sha256: str = ""
    ) -> Recording:
        """See JobService."""
        with scratch(self._scratch_folder) as folder:
            path = folder / "recording"
            size_bytes = await write_chunks(path, chunks, max_bytes=self._limits.max_encoded_bytes)
            self._limits.check_encoded_bytes(size_bytes)
            found = await asyncio.to_thread(sha256_of_file, path)
            if sha256 and sha256.lower() != found:
                raise _damaged(found, sha256)
            seconds = await asyncio.to_thread(probe_seconds, path, format, self._limits)
            recording, is_ready = await asyncio.to_thread(
                self._recordings.announce,
                caller,
                format,
                sha256=found,
                size_bytes=size_bytes,
                audio_seconds=seconds,
            )
            if is_ready:
                key = recording.object_key
            else:
                key = f"{recording.folder}/{secrets.token_hex(4)}-{found}"
                await asyncio.to_thread(self._store.upload, key, path)
        return await asyncio.to_thread(self._recordings.arrived, recording, key)

    async def create(self, caller: str, request_id: str, spec: JobSpec) -> Job:
        """See JobService."""
        job = await asyncio.to_thread(self._checked, caller, request_id, spec)
        created = await self._counted(job, spec)
        if created.job is None:
            return await self.get(caller, created.job_id)
        await self._send([(created.job_id, index) for index in range(len(spec.items))])
        return created.job

    async def check_ready(self) -> None:
        """Returns when jobs could be accepted now; raises UnavailableError otherwise."""
        await asyncio.to_thread(self._jobs.check_ready)

    async def get(self, caller: str, job_id: str) -> Job:
        """See JobService."""
        return await asyncio.to_thread(self._jobs.get, caller, job_id)

    async def list(self, caller: str, query: JobQuery) -> JobPage:
        """See JobService."""
        return await asyncio.to_thread(self._jobs.page, caller, query)

    async def cancel(self, caller: str, job_id: str) -> Job:
        """See JobService."""
        return await asyncio.to_thread(self._jobs.cancel, caller, job_id)

    async def delete(self, caller: str, job_id: str) -> None:
        """See JobService."""
        await asyncio.to_thread(self._jobs.delete, caller, job_id)

    async def watch(self, caller: str, job_id: str, *, after_revision: int = 0) -> AsyncGenerator[Job, None]:
        """See JobService."""
        seen = after_revision
        while True:
            job = await asyncio.to_thread(self._jobs.get, caller, job_id, after_revision=seen)
            if job.revision > seen or job.state.is_final:
                yield job
                if job.state.is_final:
                    return
            seen = job.revision
            if not await self._revisions.beyond(job_id, seen):
                raise no_job(job_id)

    async def result(self, caller: str, job_id: str, index: int) -> Artifact:
        """See JobService."""
        item = await asyncio.to_thread(self._jobs.item, caller, job_id, index)
        if item.result is None:
            raise PreconditionError(
                f"item {index} has no result, it is {item.state}; wait for its end, or see why it failed",
                reason="NO_RESULT",
                value=item.state.value,
                limit=State.SUCCEEDED.value,
                remedy="wait for its end, or see why it failed",
            )
        return item.result

    async def read_result(self, artifact: Artifact, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """See JobService."""
        if not 0 <= offset <= artifact.size_bytes:
            raise InvalidInputError(
                f"the offset is {offset}, the result has {artifact.size_bytes} bytes; ask for one inside",
                value=offset,
                limit=f"0 to {artifact.size_bytes}",
                remedy="ask for one inside",
            )
        with scratch(self._scratch_folder) as folder:
            path = folder / "result"
            await asyncio.to_thread(self._store.download, artifact.object_key, path)
            async with aclosing(read_chunks(path, offset)) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def _send(self, keys: Sequence[ItemKey]) -> None:
        """Tells workers of a job that is stored, if that takes no time: its caller does not wait for a broker."""
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await self._dispatcher.send(keys)
        except (UnavailableError, TimeoutError) as error:
            reason = error.reason if isinstance(error, UnavailableError) else "BROKER_SLOW"
            log.warning("a job waits for the sweeper", job_id=keys[0][0], reason=reason)

    async def _counted(self, job: NewJob, spec: JobSpec) -> Created:
        """Stores the job, and counts its audio against the caller's quota; the same job again costs nothing."""
        meter = current_meter()
        if meter is None:
            return await self._create(job)
        seconds = await asyncio.to_thread(self._audio_seconds, spec)
        await meter.use(seconds)
        created = None
        try:
            created = await self._create(job)
        finally:
            if created is None or created.job is None:
                meter.unuse(seconds)
        return created

    def _audio_seconds(self, spec: JobSpec) -> float:
        """Each recording once for each edit of each chain; one that is not there is refused later."""
        seconds: dict[str, float] = {}
        for recording_id in {item.recording_id for item in spec.items}:
            with suppress(NotFoundError):
                seconds[recording_id] = self._recordings.find(recording_id).audio_seconds
        return sum(len(item.steps) * seconds.get(item.recording_id, 0.0) for item in spec.items)

    def _checked(self, caller: str, request_id: str, spec: JobSpec) -> NewJob:
        """Refuses what a look at the request shows to be wrong; the same edit is looked at once."""
        job = new_job(caller, request_id, spec)
        for step, output in {(step, item.output) for item in spec.items for step in item.steps}:
            check_edit(order_of(step, AudioFormat(), output), self._limits, with_audio=False)
        return job


def _damaged(found: str, wanted: str) -> InvalidInputError:
    return InvalidInputError(
        f"the bytes that arrived have SHA-256 {found}, announced was {wanted[:64]}; upload them again",
        reason="DAMAGED_UPLOAD",
        value=found,
        limit=wanted[:64],
        remedy="upload them again",
    )
