"""Patches into groups for the decoder: each alone while its sound is waited for, several at once while sound is ahead.

A message costs the same hops whether it holds one patch or eight, and the decoder makes eight in hardly more time
than one; but whoever listens must never wait for a group to fill.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from typing import Self

import numpy as np

from services.orchestrator.domain import Floats

_MOST_SECONDS = 0.8
_FRAME_SECONDS = 1 / 50


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


def nobody_waits() -> float:
    """The lead of sound of which nothing leaves before all of it is there."""
    return math.inf


class Groups:
    """Latents `(num_frames, latent_dim)` of `patches`, all of them, one or several at a time.

    `lead()` tells how many seconds may pass before more is needed. At most half of that is waited, and at most half
    of it held; a lead of infinity fills every group. `aclose` it before `patches`, which it reads ahead.
    """

    def __init__(self, patches: AsyncGenerator[Floats, None], lead: Callable[[], float]) -> None:
        self._patches = patches
        self._lead = lead
        self._coming: asyncio.Task[Floats | None] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Floats:
        group: list[Floats] = []
        allowed = math.inf
        patience: float | None = None
        while (patch := await self._patch(patience)) is not None:
            if not group:
                allowed = self._lead() / 2
                until = time.monotonic() + allowed
            group.append(patch)
            if _FRAME_SECONDS * sum(map(len, group)) >= min(allowed, _MOST_SECONDS):
                break
            patience = None if math.isinf(allowed) else max(0.0, until - time.monotonic())
        if not group:
            raise StopAsyncIteration
        return np.concatenate(group)

    async def _patch(self, patience: float | None) -> Floats | None:
        """The next patch; None at the end, or when `patience` seconds have passed."""
        if self._coming is None:
            self._coming = asyncio.create_task(self._following())
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
