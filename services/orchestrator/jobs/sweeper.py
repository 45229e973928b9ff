"""Looks after what nobody looks after: silent holders, lost messages, what has expired."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from services.orchestrator.jobs.dispatch import Dispatcher
from services.orchestrator.jobs.model import job_folder
from services.orchestrator.jobs.recording_store import RecordingStore
from services.orchestrator.jobs.sweep_store import SweepStore
from services.orchestrator.jobs.transitions import ItemKey
from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.object_store import ObjectStore

log = get_logger(__name__)

_ITEMS_AT_ONCE = 500
_REMOVED_AT_ONCE = 50
_REMOVAL_SECONDS = 30.0


class Sweeper:
    """Any number may run, in any process: each piece of work is taken by one of them.

    A sweep that fails is tried again at the next; nothing depends on any single one.
    """

    def __init__(
        self,
        sweep: SweepStore,
        recordings: RecordingStore,
        store: ObjectStore,
        dispatcher: Dispatcher,
        *,
        every_seconds: float = 1.0,
        lease_seconds: float = 30.0,
    ) -> None:
        self._sweep = sweep
        self._recordings = recordings
        self._store = store
        self._dispatcher = dispatcher
        self._every_seconds = every_seconds
        self._lease_seconds = lease_seconds
        self._waits_for_broker = False
        self._removed_at = 0.0
        self._swept_at = 0.0  # by the database's clock
        self._watching_since = time.monotonic()

    async def run(self) -> None:
        """Sweeps until it is cancelled."""
        reason = ""
        while True:
            try:
                await self.sweep()
            except Exception as error:  # noqa: BLE001 - nothing else would look after the jobs
                self._swept_at = 0.0
                now = error.reason if isinstance(error, UniaudioError) else type(error).__name__
                if now != reason:  # once, however long it lasts
                    log.warning("sweeps fail until this is over", reason=now)
                reason = now
            else:
                reason = ""
            # Several sweepers that were started together need not meet.
            await asyncio.sleep(self._every_seconds * (0.75 + 0.5 * random.random()))

    async def sweep(self) -> None:
        """One round."""
        if self._has_watched(await asyncio.to_thread(self._sweep.now)):
            lost = await asyncio.to_thread(self._sweep.reclaim, _ITEMS_AT_ONCE, random.random())
            if lost:
                log.warning("leases ran out", items=lost)
        if due := await asyncio.to_thread(self._sweep.due, _ITEMS_AT_ONCE):
            await self._send(due)
        if time.monotonic() - self._removed_at >= _REMOVAL_SECONDS:
            await asyncio.to_thread(self.remove)
            self._removed_at = time.monotonic()

    async def _send(self, due: Sequence[ItemKey]) -> None:
        """Sends items; an outage of the broker hinders nothing else of a sweep."""
        try:
            await self._dispatcher.send(due)
        except UnavailableError as error:
            # Else an outage would count as messages that were lost, and make each item wait longer and longer.
            await asyncio.to_thread(self._sweep.unsent, due)
            if not self._waits_for_broker:  # told once, however long it lasts
                log.warning("items wait for the broker", reason=error.reason)
            self._waits_for_broker = True
        else:
            self._waits_for_broker = False

    def _has_watched(self, clock: float) -> bool:
        """Whether it has looked on for a whole lease: after a gap, holders that live renew their leases first.

        A gap is a database that was away, a machine that slept, a clock that jumped, and the time before.
        """
        now = time.monotonic()
        if not 0 <= clock - self._swept_at <= max(self._lease_seconds / 2, 3 * self._every_seconds):
            self._watching_since = now
        self._swept_at = clock
        return now - self._watching_since >= self._lease_seconds

    def remove(self) -> None:
        """Removes what was deleted or has expired: objects first, so that none is forgotten."""
        for doomed in self._sweep.doom(_REMOVED_AT_ONCE):
            self._store.delete_folder(job_folder(doomed.job_id))
            self._sweep.purged(doomed)
        for recording in self._recordings.doom(_REMOVED_AT_ONCE):
            self._store.delete_folder(recording.folder)
            self._recordings.forget(recording)
