"""Batches made by one thread while the step before is computed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from uniaudio.errors import DeadlineError

T = TypeVar("T")
_END_SECONDS = 60.0


class Prefetched(Generic[T]):
    """Iterates over `(step, load(step))`; one batch lies ready and one is in the making.

    What `load` raises is raised where its batch is asked for. Raises DeadlineError when a batch takes
    longer than `timeout_seconds`. Leaving the `with` block ends the thread.
    """

    def __init__(self, load: Callable[[int], T], first: int, end: int, timeout_seconds: float) -> None:
        self._load, self._first, self._end = load, first, end
        self._timeout_seconds = timeout_seconds
        self._ready: queue.Queue[T | BaseException] = queue.Queue(maxsize=1)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="batches", daemon=True)

    def __enter__(self) -> Iterator[tuple[int, T]]:
        self._thread.start()
        return self._take()

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.join(_END_SECONDS)

    def _take(self) -> Iterator[tuple[int, T]]:
        for step in range(self._first, self._end):
            try:
                item = self._ready.get(timeout=self._timeout_seconds)
            except queue.Empty as error:
                raise DeadlineError(
                    f"the batch of step {step} was not ready within {self._timeout_seconds:.0f} s; "
                    "look at what Stage.batch reads, then start again to continue from the last checkpoint"
                ) from error
            if isinstance(item, BaseException):
                raise item
            yield step, item

    def _work(self) -> None:
        for step in range(self._first, self._end):
            item: T | BaseException
            try:
                item = self._load(step)
            except BaseException as error:  # noqa: BLE001 (raised by the thread that asks for it)
                item = error
            while not self._closed.is_set():
                try:
                    self._ready.put(item, timeout=0.1)
                except queue.Full:
                    continue
                break
            if self._closed.is_set() or isinstance(item, BaseException):
                return
