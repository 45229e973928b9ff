"""How long things took: told as a table when all tests of pods have ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

_taken: list[tuple[str, float]] = []


def note(what: str, seconds: float) -> None:
    """For the table."""
    _taken.append((what, seconds))


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Notes how long it takes; nothing where it fails."""
    begun = time.monotonic()
    yield
    note(what, time.monotonic() - begun)


def lines() -> list[str]:
    """The table, in the order in which things ended."""
    return [f"{seconds:7.1f} s  {what}" for what, seconds in _taken]
