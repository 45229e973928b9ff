"""Seconds of audio that a call uses, taken from its caller's quota while it goes on and settled at its end."""

from __future__ import annotations

import math
from contextvars import ContextVar

from uniaudio.errors import QuotaExceededError
from uniaudio.runtime.guard.callers import Caller
from uniaudio.runtime.guard.quota import Quotas, Taken

AUDIO_UNIT = "ms of audio"
REQUEST_UNIT = "requests"
_STEP_SECONDS = 10.0

_meter: ContextVar[AudioMeter | None] = ContextVar("uniaudio_meter", default=None)


class AudioMeter:
    """What one call took of its caller's audio quota."""

    def __init__(self, quotas: Quotas, caller: Caller) -> None:
        self._quotas = quotas
        self._caller = caller
        self._taken: list[tuple[Taken, int]] = []
        self._used = 0
        self._reserved = 0
        self._is_settled = False

    async def use(self, seconds: float) -> None:
        """Counts so many seconds. Takes a little ahead, so that a stream asks once in ten seconds of audio.

        Counts nothing any more once it was settled: what outlives its call is not the call's. Raises
        QuotaExceededError, or UnavailableError while the quota store is away.
        """
        if self._is_settled:
            return
        needed = self._used + _milliseconds(seconds) - self._reserved
        if needed > 0:
            try:
                await self._reserve(max(needed, int(_STEP_SECONDS * 1000)))
            except QuotaExceededError:
                await self._reserve(needed)
        self._used += _milliseconds(seconds)

    def unuse(self, seconds: float) -> None:
        """Takes back what was counted before and then not used; it is given back when the call ends."""
        self._used -= _milliseconds(seconds)

    async def settle(self, *, is_used: bool = True) -> None:
        """Gives back what was taken ahead; everything, where the call failed by no fault of its caller's."""
        self._is_settled = True
        surplus = self._reserved - (self._used if is_used else 0)
        while surplus > 0 and self._taken:
            taken, amount = self._taken.pop()
            await self._quotas.give_back(taken, min(amount, surplus))
            surplus -= amount
        self._reserved, self._taken = self._used, []

    async def _reserve(self, amount: int) -> None:
        taken = await self._quotas.take(self._caller, AUDIO_UNIT, amount)
        self._reserved += amount
        if taken is not None:
            self._taken.append((taken, amount))


def _milliseconds(seconds: float) -> int:
    return math.ceil(seconds * 1000)


def start_meter(meter: AudioMeter | None) -> None:
    """Makes `meter` the one of the running call."""
    _meter.set(meter)


def current_meter() -> AudioMeter | None:
    """The running call's meter, or None where nothing is counted."""
    return _meter.get()


async def use_audio(seconds: float) -> None:
    """Counts seconds of audio, read or made, for the running call. Raises as `AudioMeter.use`."""
    meter = _meter.get()
    if meter is not None:
        await meter.use(seconds)
