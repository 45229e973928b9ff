"""SIGINT, SIGTERM and SIGHUP as requests to stop, which interrupt only where that is safe."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal asked for the end. No Exception, so that nothing on the way takes it for a failure."""


class StopSignals:
    """Inside `with`, the first signal is remembered, and raises StopRequested within `interruptible` sections.

    Later ones call `on_again`. For the main thread.
    """

    def __init__(self) -> None:
        self.requested = False
        self.on_again: Callable[[], None] = lambda: None
        self._raising = False
        self._earlier: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._earlier = {number: signal.signal(number, self._handle) for number in _NUMBERS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Where a request ends what is being done; one that came before ends it at once."""
        self._raising = True
        try:
            if self.requested:
                raise StopRequested
            yield
        finally:
            self._raising = False

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if self.requested:
            self.on_again()
            return
        self.requested = True
        if self._raising:
            raise StopRequested
