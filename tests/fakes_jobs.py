"""Jobs in memory behind the real servicer, on a loopback port of a thread: what clients and commands talk to.

with served_jobs(FakeJobs()) as (fake, address):
    SpeechClient(address).jobs.list()
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from services.orchestrator.admission import Admission
from services.orchestrator.domain import EditReport
from services.orchestrator.job_servicer import EditJobServicer, edit_job_service
from services.orchestrator.jobs.model import (
    Artifact,
    Counts,
    Item,
    Job,
    JobPage,
    JobQuery,
    JobSpec,
    Progress,
    Recording,
    State,
)
from uniaudio.audio.formats import AudioFormat
from uniaudio.editing.plan import EditEngine, EditKind, Plan
from uniaudio.errors import (
    InvalidAudioError,
    NotFoundError,
    PreconditionError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime.server import Server, ServerConfig

CALLER = "somebody"
NOW = 1_790_000_000.0
AWAY = UnavailableError("the store is away", value="away", limit="a store", remedy="try again")


class FakeJobs:
    """Keeps the protocol of JobService. `failures[method]` are raised first, one a call.

    A new job is handed to `work`, which may leave it, or play a worker with `change` and `finish`.
    """

    def __init__(self, work: Callable[[FakeJobs, Job], None] = lambda _fake, _job: None) -> None:
        self.work = work
        self.recordings: dict[str, Recording] = {}
        self.contents: dict[str, bytes] = {}
        self.jobs: dict[str, Job] = {}
        self.specs: list[tuple[str, JobSpec]] = []
        self.queries: list[JobQuery] = []
        self.watched_from: list[int] = []
        self.read_from: list[int] = []
        self.failures: dict[str, list[UniaudioError]] = {}
        self.break_watch_after: int | None = None
        self.break_read_after: int | None = None
        self.num_watching = 0

    async def check_ready(self) -> None:
        self._fail("check_ready")

    async def upload(
        self, caller: str, format: AudioFormat, chunks: AsyncIterable[bytes], *, sha256: str = ""
    ) -> Recording:
        content = b"".join([chunk async for chunk in chunks])
        self._fail("upload")
        if not content:
            raise InvalidAudioError("the audio is empty", value="0 bytes", limit="1 byte", remedy="send one")
        found = hashlib.sha256(content).hexdigest()
        assert sha256 in ("", found)
        recording = Recording(
            recording_id=found[:32],
            caller=caller,
            format=format,
            size_bytes=len(content),
            sha256=found,
            audio_seconds=1.5,
            expires_at=NOW + 100,
        )
        self.recordings[recording.recording_id] = recording
        self.contents[recording.object_key] = content
        return recording

    async def create(self, caller: str, request_id: str, spec: JobSpec) -> Job:
        self._fail("create")
        for job in self.jobs.values():
            if job.request_id == request_id:
                return job
        self.specs.append((request_id, spec))
        job_id = f"{len(self.jobs):032x}"
        items = tuple(
            Item(
                job_id=job_id,
                index=index,
                spec=item,
                state=State.QUEUED,
                revision=1,
                progress=Progress(),
                num_attempts=0,
            )
            for index, item in enumerate(spec.items)
        )
        self.jobs[job_id] = Job(
            job_id=job_id,
            request_id=request_id,
            caller=caller,
            state=State.QUEUED,
            revision=1,
            counts=Counts(total=len(items), queued=len(items)),
            fraction=0.0,
            created_at=NOW + len(self.jobs),
            updated_at=NOW,
            expires_at=NOW + 100,
            items=items,
        )
        self.work(self, self.jobs[job_id])
        return self.jobs[job_id]

    async def get(self, caller: str, job_id: str) -> Job:
        self._fail("get")
        return self._find(job_id)

    async def list(self, caller: str, query: JobQuery) -> JobPage:
        self.queries.append(query)
        newest = [
            job for job in reversed(self.jobs.values()) if not query.states or job.state in query.states
        ]
        start = int(query.page_token or 0)
        page = newest[start : start + (query.page_size or 50)]
        end = start + len(page)
        return JobPage(
            jobs=tuple(replace(job, items=()) for job in page),
            next_page_token=str(end) if end < len(newest) else "",
        )

    async def cancel(self, caller: str, job_id: str) -> Job:
        for item in self._find(job_id).items:
            if not item.state.is_final:
                self.change(job_id, item.index, state=State.CANCELLED)
        return self._find(job_id)

    async def delete(self, caller: str, job_id: str) -> None:
        self._find(job_id)
        del self.jobs[job_id]

    async def watch(self, caller: str, job_id: str, *, after_revision: int = 0) -> AsyncGenerator[Job, None]:
        self._fail("watch")
        self.watched_from.append(after_revision)
        self.num_watching += 1
        seen, num_sent = after_revision, 0
        try:
            while True:
                job = self._find(job_id)
                if job.revision > seen or (num_sent == 0 and job.state.is_final):
                    if num_sent == self.break_watch_after:
                        self.break_watch_after = None
                        raise AWAY
                    yield replace(job, items=tuple(item for item in job.items if item.revision > seen))
                    seen, num_sent = job.revision, num_sent + 1
                if job.state.is_final:
                    return
                await asyncio.sleep(0.005)
        finally:
            self.num_watching -= 1

    async def result(self, caller: str, job_id: str, index: int) -> Artifact:
        self._fail("result")
        found = self._find(job_id).items[index].result
        if found is None:
            raise PreconditionError(
                "not done", reason="NO_RESULT", value="queued", limit="done", remedy="wait"
            )
        return found

    async def read_result(self, artifact: Artifact, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        self.read_from.append(offset)
        content = self.contents[artifact.object_key]
        for number, start in enumerate(range(offset, len(content), 1000)):
            if number == self.break_read_after:
                self.break_read_after = None
                raise AWAY
            yield content[start : start + 1000]

    def change(self, job_id: str, index: int, **changes: Any) -> None:
        """What a worker or a sweeper commits about an item."""
        job = self.jobs[job_id]
        revision = job.revision + 1
        items = [
            replace(item, revision=revision, **changes) if item.index == index else item for item in job.items
        ]
        numbers = {state: sum(item.state is state for item in items) for state in State}
        ended = sum(numbers[state] for state in State if state.is_final)
        self.jobs[job_id] = replace(
            job,
            items=tuple(items),
            revision=revision,
            state=_state_of(numbers, len(items)),
            counts=Counts(total=len(items), **{state.value: number for state, number in numbers.items()}),
            fraction=ended / len(items),
            started_at=NOW + 1,
            ended_at=NOW + 2 if ended == len(items) else None,
        )

    def finish(self, job_id: str, index: int, content: bytes = b"RIFF" + bytes(3996)) -> None:
        """The item succeeded and made `content`."""
        item = self.jobs[job_id].items[index]
        key = f"results/{job_id}/{index}"
        self.contents[key] = content
        plan = Plan(
            instruction="faster",
            kind=EditKind.SPEED,
            engine=EditEngine.EXACT,
            value=2.0,
            summary="Twice as fast.",
        )
        report = EditReport(plan=plan, ranges=(), source_seconds=3.0, result_seconds=1.5)
        self.change(
            job_id,
            index,
            state=State.SUCCEEDED,
            num_attempts=1,
            started_at=NOW + 1,
            ended_at=NOW + 2,
            progress=Progress(step=len(item.spec.steps) - 1, stage="done", fraction=1.0),
            reports=(report,) * len(item.spec.steps),
            result=Artifact(
                object_key=key,
                format=item.spec.output,
                size_bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                audio_seconds=1.5,
            ),
        )

    def _find(self, job_id: str) -> Job:
        if job_id not in self.jobs:
            raise NotFoundError(f"there is no job {job_id}", value=job_id, limit="a job", remedy="list them")
        return self.jobs[job_id]

    def _fail(self, method: str) -> None:
        if self.failures.get(method):
            raise self.failures[method].pop(0)


def _state_of(numbers: dict[State, int], total: int) -> State:
    if sum(numbers[state] for state in State if state.is_final) == total:
        return next(s for s in (State.FAILED, State.CANCELLED, State.SUCCEEDED) if numbers[s])
    return State.QUEUED if numbers[State.QUEUED] == total else State.RUNNING


def finish_all(fake: FakeJobs, job: Job) -> None:
    """A worker that does everything at once."""
    for item in job.items:
        fake.finish(job.job_id, item.index)


def job_server(fake: FakeJobs, port: int = 0, *, max_watches: int = 8) -> Server:
    """A server with the real servicer before `fake`."""

    servicer = EditJobServicer(
        fake,
        lambda: CALLER,
        transfers=Admission(max_running=4, max_waiting=4, max_wait_seconds=5),
        watches=Admission(max_running=max_watches, max_waiting=0, max_wait_seconds=5),
    )
    server = Server([edit_job_service(servicer)], ServerConfig(port=port, grace_seconds=5))
    server.on_stopping(servicer.leave)
    return server


@contextmanager
def served_jobs(fake: FakeJobs) -> Iterator[tuple[FakeJobs, str]]:
    """`fake` and the address of its server, which lives in a thread with a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = job_server(fake)

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(20)

    try:
        yield fake, f"127.0.0.1:{run(server.start())}"
        run(server.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()
