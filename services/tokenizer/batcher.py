"""Dynamic batching inside one replica: whatever waits when the model is free goes into its next step."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from opentelemetry.metrics import Meter

from uniaudio.errors import QueueFullError, UnavailableError, UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.telemetry import SECONDS_BUCKETS, get_meter

log = get_logger(__name__)

StepT = TypeVar("StepT")
ResultT = TypeVar("ResultT")


@dataclass
class _Waiting(Generic[StepT, ResultT]):
    """A step in the queue."""

    step: StepT
    cost: int
    answer: asyncio.Future[ResultT]
    since: float = field(default_factory=time.monotonic)


class Batcher(Generic[StepT, ResultT]):
    """Runs `run(steps) -> results` in one thread, with as many waiting steps at once as fit the cost.

    An error among the results fails its own step; what `run` raises fails the whole batch.

    A session has at most one step in the queue, and at most `max_sessions` sessions are open, so the
    queue is bounded by them and a running stream is never refused half-way.
    """

    def __init__(
        self,
        run: Callable[[Sequence[StepT]], Sequence[ResultT | UniaudioError]],
        *,
        max_sessions: int,
        max_batch_cost: int,
        meter: Meter | None = None,
    ) -> None:
        self._run = run
        self._max_sessions = max_sessions
        self._max_batch_cost = max_batch_cost
        self._queue: deque[_Waiting[StepT, ResultT]] = deque()
        self._wake = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._working: asyncio.Task[None] | None = None
        self._busy_since: float | None = None
        self.num_sessions = 0
        self.queued_cost = 0
        """Of the steps that wait, those included whose caller went away and that were not passed by yet."""
        meter = meter or get_meter()
        self._batch_steps = meter.create_histogram("tokenizer.batch.steps", "{step}", "Steps run together.")
        self._queue_seconds = meter.create_histogram(
            "tokenizer.queue.duration",
            "s",
            "Wait before a step.",
            explicit_bucket_boundaries_advisory=SECONDS_BUCKETS,
        )
        self._step_seconds = meter.create_histogram(
            "tokenizer.step.duration",
            "s",
            "Time in the model.",
            explicit_bucket_boundaries_advisory=SECONDS_BUCKETS,
        )
        self._sessions = meter.create_up_down_counter("tokenizer.sessions", "{session}", "Open sessions.")

    def start(self) -> None:
        """Begins to work, on the running event loop."""
        self._working = asyncio.create_task(self._work())

    async def close(self) -> None:
        """Stops after the step in progress; whoever still waits gets UnavailableError."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)
        while self._queue:
            self._fail(self._queue.popleft(), _stopping())
        self.queued_cost = 0
        await asyncio.get_running_loop().run_in_executor(None, self._executor.shutdown)

    @contextmanager
    def session(self) -> Iterator[None]:
        """A place for one caller, who awaits each step before the next. Raises QueueFullError."""
        if self.num_sessions >= self._max_sessions:
            raise QueueFullError(
                f"{self.num_sessions} calls are in progress and {self._max_sessions} are allowed; "
                "try again in a second, or add replicas",
                retry_after_seconds=1.0,
                value=self.num_sessions,
                limit=self._max_sessions,
                remedy="try again in a second, or add replicas",
            )
        self.num_sessions += 1
        self._sessions.add(1)
        try:
            yield
        finally:
            self.num_sessions -= 1
            self._sessions.add(-1)

    async def submit(self, step: StepT, cost: int) -> ResultT:
        """The result of `step`, which counts `cost` towards the size of a batch."""
        answer: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(step, cost, answer))
        self.queued_cost += cost
        self._wake.set()
        return await answer

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._queue and self._busy_since is None

    def check(self, stall_seconds: float) -> None:
        """Returns while work goes on; raises UnavailableError when it has stopped or stands still."""
        if self._working is None or self._working.done():
            raise _stopping()
        since = self._busy_since
        if since is not None and time.monotonic() - since > stall_seconds:
            raise UnavailableError(
                f"a step of the model has been running for more than {stall_seconds:g} s; the replica is replaced, "
                "try again",
                value=f"{time.monotonic() - since:.1f} s",
                limit=f"{stall_seconds:g} s",
                remedy="try again; the replica is replaced",
            )

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._take():
                await self._run_batch(batch)

    def _take(self) -> list[_Waiting[StepT, ResultT]]:
        """The next steps in order, without those whose caller went away; at least one, if there is one."""
        batch: list[_Waiting[StepT, ResultT]] = []
        cost = 0
        while self._queue:
            head = self._queue[0]
            if not head.answer.done() and batch and cost + head.cost > self._max_batch_cost:
                break
            self._queue.popleft()
            self.queued_cost -= head.cost
            if not head.answer.done():
                batch.append(head)
                cost += head.cost
        return batch

    async def _run_batch(self, batch: list[_Waiting[StepT, ResultT]]) -> None:
        started = self._busy_since = time.monotonic()
        for waiting in batch:
            self._queue_seconds.record(started - waiting.since)
        self._batch_steps.record(len(batch))
        loop = asyncio.get_running_loop()
        try:
            results = await loop.run_in_executor(self._executor, self._run, [one.step for one in batch])
        except asyncio.CancelledError:
            for waiting in batch:
                self._fail(waiting, _stopping())
            raise
        except Exception as error:  # noqa: BLE001 - it belongs to the callers, who get it
            log.warning("a step failed", num_steps=len(batch), error=repr(error))
            for waiting in batch:
                self._fail(waiting, error)
        else:
            for waiting, result in zip(batch, results, strict=True):
                if isinstance(result, UniaudioError):
                    self._fail(waiting, result)
                elif not waiting.answer.done():
                    waiting.answer.set_result(result)
        finally:
            self._busy_since = None
            self._step_seconds.record(time.monotonic() - started)

    @staticmethod
    def _fail(waiting: _Waiting[StepT, ResultT], error: Exception) -> None:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)


def _stopping() -> UnavailableError:
    return UnavailableError(
        "the model of this replica is not running: the service is stopping; try again",
        value="stopping",
        limit="a running replica",
        remedy="try again; another replica answers",
    )
