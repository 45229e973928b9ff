"""Patches into groups for the decoder: each alone while its sound is waited for, several at once while it is not.

A message costs the same hops whether it holds one patch or eight, and the decoder makes eight in less than half the
time of eight alone; but whoever listens must never wait for a group to fill.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from services.orchestrator.domain import Floats

_MOST_SECONDS = 0.8
_FRAME_SECONDS = 1 / 50


@dataclass(frozen=True)
class Room:
    """So many seconds of sound may be gathered before it is decoded, for at most `patience` seconds."""

    seconds: float
    patience: float


class Lead:
    """How far sound is ahead of one who hears it from its first piece on."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began: float | None = None
        self._given = 0.0

    def give(self, seconds: float) -> None:
        """Notes that so much more sound has left."""
        if self._began is None:
            self._began = self._clock()
        self._given += seconds

    def seconds(self) -> float:
        """What has left and is not heard yet."""
        return 0.0 if self._began is None else self._given - (self._clock() - self._began)

    def room(self) -> Room:
        """Half of it to gather, so that the other half is left when that takes long."""
        half = max(0.0, self.seconds() / 2)
        return Room(half, half)


class Groups:
    """Latents `(num_frames, latent_dim)` of `patches`, all of them, one or several at a time.

    `room()` is asked when the first of a group is there. `aclose` it before `patches`, which it reads ahead.
    """

    def __init__(self, patches: AsyncGenerator[Floats, None], room: Callable[[], Room]) -> None:
        self._patches = patches
        self._room = room
        self._coming: asyncio.Task[Floats | None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Floats:
        first = await self._patch(math.inf)
        if first is None:
            raise StopAsyncIteration
        group, room = [first], self._room()
        until = time.monotonic() + room.patience
        while _FRAME_SECONDS * sum(map(len, group)) < min(room.seconds, _MOST_SECONDS):
            patch = await self._patch(until)
            if patch is None:
                break
            group.append(patch)
        return np.concatenate(group)

    async def _patch(self, until: float) -> Floats | None:
        """The next patch; None at the end, or when that time has come."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._following())
        patience = None if math.isinf(until) else max(0.0, until - time.monotonic())
        await asyncio.wait({self._coming}, timeout=patience)
        if not self._coming.done():
            return None
        coming, self._coming = self._coming, None
        return coming.result()

    async def _following(self) -> Floats | None:
        return await anext(self._patches, None)

    async def aclose(self) -> None:
        """Gives up what is being read."""
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
