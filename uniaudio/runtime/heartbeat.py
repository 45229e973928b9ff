"""Renews a lease from a thread of its own until it is stopped or the lease is lost."""

from __future__ import annotations

import logging
import threading

from uniaudio.errors import LeaseError, UniaudioError
from uniaudio.runtime.leases import Lease

_log = logging.getLogger(__name__)


class Heartbeat:
    """Starts with the first renewal after `interval_seconds`; a store that is away is tried again."""

    def __init__(self, lease: Lease, interval_seconds: float) -> None:
        self._lease = lease
        self._interval_seconds = interval_seconds
        self._stop = threading.Event()
        self._lost: LeaseError | None = None
        self._thread = threading.Thread(target=self._beat, name="lease-heartbeat", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises LeaseError, naming the new holder, once a renewal has found the lease taken."""
        if self._lost is not None:
            raise self._lost

    def stop(self, timeout_seconds: float = 5.0) -> None:
        """Ends the renewals; one that hangs in a store that is away is left to its own retries."""
        self._stop.set()
        self._thread.join(timeout_seconds)

    def _beat(self) -> None:
        while not self._stop.wait(self._interval_seconds):
            try:
                self._lease.renew()
            except LeaseError as error:
                self._lost = error
                _log.error("the lease is lost: %s", error)
                return
            except UniaudioError as error:
                _log.warning("the lease was not renewed, it is tried again: %s", error)
