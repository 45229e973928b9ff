"""Does items: claims them, keeps the lease while they are worked on, commits what came of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from services.orchestrator.jobs.batches import Batcher
from services.orchestrator.jobs.limits import Patience
from services.orchestrator.jobs.model import Failure, Progress
from services.orchestrator.jobs.transitions import ItemKey
from services.orchestrator.jobs.work import (
    Beat,
    Claim,
    GaveUp,
    Outcome,
    Released,
    StepEnded,
    Succeeded,
    Suspect,
    WorkStore,
)
from uniaudio.errors import DeadlineError, UnavailableError, UniaudioError
from uniaudio.runtime.calls import adopt_request_id
from uniaudio.runtime.guard.callers import Caller, acting_for
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.telemetry import span

log = get_logger(__name__)

Tell = Callable[[Progress], None]
EndStep = Callable[[StepEnded], Awaitable[None]]
Process = Callable[[Claim, Tell, EndStep], Awaitable[Succeeded]]
"""Makes an item's result; tells progress, and ends the steps of its chain one by one."""

_BEAT_SECONDS = 1.0
_COMMIT_SECONDS = 120.0
_PAUSE_SECONDS = 0.5
_STORE_FULL = "STORE_FULL"
"""Space comes back: what has expired is removed, or a person makes some."""


class LeaseLostError(Exception):
    """The item was cancelled, or given to somebody else: whatever is made now is not wanted."""


@dataclass(eq=False)
class _Running:
    """An item that is worked on."""

    claim: Claim
    task: asyncio.Task[None]
    progress: Progress
    told: Progress
    renewed_at: float
    is_lost: bool = False


class Worker:
    """Works on at most `max_running` items at once, in one event loop.

    Items whose worker died once are done alone, so that one that kills its worker takes no other with it.
    """

    def __init__(
        self,
        work: WorkStore,
        process: Process,
        *,
        holder: str,
        patience: Patience | None = None,
        max_running: int = 4,
        max_item_seconds: float = 6 * 3600.0,
    ) -> None:
        self._work = work
        self._process = process
        self._holder = holder
        self._patience = patience or Patience()
        self._max_running = max_running
        self._max_item_seconds = max_item_seconds
        self._running: dict[ItemKey, _Running] = {}
        self._changed = asyncio.Condition()
        self._num_taken = 0
        self._is_stopping = False
        self._is_closed = False  # while an item is done alone, or waits for that
        self._alone = asyncio.Lock()
        self._alone_tasks: set[asyncio.Task[None]] = set()
        self._end: Batcher[Outcome, bool] = Batcher(self._work.end)
        self._beats: asyncio.Task[None] | None = None

    @property
    def num_running(self) -> int:
        """Items that are worked on now."""
        return len(self._running)

    async def accept(self, keys: Sequence[ItemKey]) -> None:
        """Begins what can be claimed of these items; waits for places, and takes nothing while it stops."""
        left = list(dict.fromkeys(keys))
        while left and not self._is_stopping:
            places = await self._take_places(len(left))
            if not places:
                break
            some, left = left[:places], left[places:]
            try:
                claims = await self._claim(some, alone=False)
            except BaseException:
                await self._give_places(places)
                raise
            begun = 0
            for claim in claims:
                if isinstance(claim, Claim):
                    self._begin(claim)
                    begun += 1
                elif isinstance(claim, Suspect):
                    task = asyncio.create_task(self._do_alone(claim.key))
                    self._alone_tasks.add(task)
                    task.add_done_callback(self._alone_tasks.discard)
            await self._give_places(places - begun)

    async def leave(self) -> None:
        """Takes nothing more; who waits for a place gets none."""
        self._is_stopping = True
        async with self._changed:
            self._changed.notify_all()

    async def stop(self, grace_seconds: float) -> None:
        """Takes nothing more; what does not end in time is given back for others to go on with."""
        await self.leave()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_seconds):
                await self._until(lambda: not self._running)
        for running in list(self._running.values()):
            running.task.cancel()
        for task in self._alone_tasks:
            task.cancel()
        ending = [running.task for running in self._running.values()]
        await asyncio.gather(*ending, *self._alone_tasks, return_exceptions=True)
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.gather(self._beats, return_exceptions=True)

    async def _claim(self, keys: Sequence[ItemKey], *, alone: bool) -> list[Claim | Suspect | None]:
        try:
            return await asyncio.to_thread(self._work.claim, keys, self._holder, alone=alone)
        except UnavailableError as error:
            # The message is lost; the sweeper sends another when the database is back.
            log.warning("items could not be claimed", reason=error.reason, items=len(keys))
            return []

    def _begin(self, claim: Claim) -> None:
        if self._beats is None:
            self._beats = asyncio.create_task(self._keep_leases())
        progress = Progress(step=len(claim.steps_done.reports))
        task = asyncio.create_task(self._do(claim))
        self._running[claim.key] = _Running(claim, task, progress, progress, time.monotonic())

    async def _do(self, claim: Claim) -> None:
        """One attempt at an item, from claim to commit."""
        job_id, index = claim.key
        adopt_request_id(f"{job_id}/{index}")  # of this task alone: logs and neighbours are told it
        started = time.monotonic()
        caller = Caller(name=claim.caller, roles=frozenset())
        outcome: Outcome | None = None
        is_taken = False
        try:
            with acting_for(caller), span("job_item", job_id=job_id, item=index, attempt=claim.num_attempts):
                outcome = await self._attempt(claim)
                is_taken = await self._commit(outcome)
        except LeaseLostError:
            pass  # told below
        except asyncio.CancelledError:
            if not self._running[claim.key].is_lost:
                outcome = Released(claim)
                is_taken = await self._commit(outcome)
        finally:
            del self._running[claim.key]
            await self._give_places(1)
        log.info(
            "item",
            job_id=job_id,
            item=index,
            attempt=claim.num_attempts,
            outcome=type(outcome).__name__ if is_taken else "not taken",
            reason=outcome.failure.reason if isinstance(outcome, GaveUp) else "",
            seconds=round(time.monotonic() - started, 3),
        )

    async def _attempt(self, claim: Claim) -> Outcome:
        running = self._running[claim.key]

        def tell(progress: Progress) -> None:
            running.progress = progress

        async def end_step(ended: StepEnded) -> None:
            if not await self._commit(ended):
                raise LeaseLostError

        try:
            async with asyncio.timeout(self._max_item_seconds) as timer:
                return await self._process(claim, tell, end_step)
        except TimeoutError as error:
            if not timer.expired():
                return self._failed(claim, _unforeseen(error))
            return self._failed(claim, _too_long(self._max_item_seconds))
        except UniaudioError as error:
            return self._failed(claim, error)
        except LeaseLostError:
            raise
        except Exception as error:  # noqa: BLE001 - told at the item
            # Its text may quote what was said: only where it happened is told.
            log.error("an item failed", job_id=claim.key[0], item=claim.key[1], error=type(error).__name__)
            return self._failed(claim, _unforeseen(error))

    def _failed(self, claim: Claim, error: UniaudioError) -> GaveUp:
        is_curable = error.retryable or isinstance(error, DeadlineError) or error.reason == _STORE_FULL
        delay = self._patience.delay(claim.num_attempts, random.random()) if is_curable else None
        return GaveUp(claim, Failure.of(error), delay)

    async def _commit(self, outcome: Outcome) -> bool:
        """Whether it was taken; tried again while the database is away."""
        deadline = time.monotonic() + _COMMIT_SECONDS
        while True:
            try:
                return await self._end(outcome)
            except UnavailableError as error:
                if time.monotonic() > deadline:
                    log.error(
                        "a result could not be committed", job_id=outcome.claim.key[0], reason=error.reason
                    )
                    return False
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _keep_leases(self) -> None:
        """Renews leases and stores progress; ends work on items that are no longer held."""
        renewal_seconds = self._patience.lease_seconds / 3
        while True:
            await asyncio.sleep(min(_BEAT_SECONDS, renewal_seconds))
            now = time.monotonic()
            due = [
                running
                for running in self._running.values()
                if running.progress != running.told or now - running.renewed_at >= renewal_seconds
            ]
            if due:
                await self._renew(due, now)

    async def _renew(self, due: Sequence[_Running], now: float) -> None:
        beats = [Beat(running.claim, running.progress) for running in due]
        try:
            held = await asyncio.to_thread(self._work.hold, beats)
        except Exception as error:  # noqa: BLE001 - tried again soon; what is lost meanwhile shows at the commit
            reason = error.reason if isinstance(error, UniaudioError) else type(error).__name__
            log.warning("leases could not be renewed", reason=reason, items=len(due))
            return
        for running, beat, is_held in zip(due, beats, held, strict=True):
            running.told, running.renewed_at = beat.progress, now
            if not is_held and self._running.get(running.claim.key) is running:
                running.is_lost = True
                running.task.cancel()

    async def _do_alone(self, key: ItemKey) -> None:
        """Waits until nothing runs and nothing else may begin, then does the item."""
        async with self._alone:
            self._is_closed = True
            try:
                await self._until(lambda: self._num_taken == 0)
                (claim,) = await self._claim([key], alone=True) or [None]
                if isinstance(claim, Claim):
                    self._num_taken += 1
                    self._begin(claim)
                    await self._until(lambda: self._num_taken == 0)
            finally:
                self._is_closed = False
                await self._give_places(0)

    async def _take_places(self, wanted: int) -> int:
        """At least one place, at most so many, once one is free; none where it stops."""
        await self._until(lambda: (self._num_free > 0 and not self._is_closed) or self._is_stopping)
        taken = 0 if self._is_stopping else min(wanted, self._num_free)
        self._num_taken += taken
        return taken

    @property
    def _num_free(self) -> int:
        return self._max_running - self._num_taken

    async def _give_places(self, count: int) -> None:
        async with self._changed:
            self._num_taken -= count
            self._changed.notify_all()

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(condition)


def _too_long(seconds: float) -> UniaudioError:
    return UniaudioError(
        f"the item did not end within {seconds:g} s; send a shorter recording",
        reason="ITEM_TOO_LONG",
        value=f"more than {seconds:g} s",
        limit=f"{seconds:g} s",
        remedy="send a shorter recording",
    )


def _unforeseen(error: Exception) -> UniaudioError:
    return UniaudioError(
        f"the item failed in a way that nobody foresaw ({type(error).__name__}); report it",
        value=type(error).__name__,
        limit="failures that are foreseen",
        remedy="report it",
    )
