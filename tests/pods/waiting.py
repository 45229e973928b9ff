"""How long tests of pods wait: images are unpacked and programs start, on a machine that may be busy."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.cluster import nodes

T = TypeVar("T")
SECONDS = 300.0


def eventually(look: Callable[[], T], wanted: Callable[[T], object] = bool) -> T:
    """What `look` gives once it is as wanted."""
    return nodes.eventually(look, wanted, seconds=SECONDS)
