"""The quotas that there are, and how settings and tokens write a caller's limits."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from uniaudio.runtime.guard.meter import AUDIO_UNIT, REQUEST_UNIT
from uniaudio.runtime.guard.quota import Quota

_HIGHEST = 10**12
_UNITS_OF_ONE: Mapping[str, int] = MappingProxyType({REQUEST_UNIT: 1, AUDIO_UNIT: 1000})
"""Limits are written in requests, and in seconds of audio."""
_QUOTAS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {
        "requests_per_minute": (REQUEST_UNIT, 60),
        "audio_seconds_per_hour": (AUDIO_UNIT, 3_600),
        "audio_seconds_per_day": (AUDIO_UNIT, 86_400),
    }
)

LIMIT_NAMES = tuple(_QUOTAS)
"""How limits are called wherever they are written."""


def make_quotas(limits: Mapping[str, int]) -> list[Quota]:
    """Every quota, with the limit of callers who have none of their own; 0 counts nothing."""
    return [
        Quota(name=name, unit=unit, limit=_UNITS_OF_ONE[unit] * limits.get(name, 0), window_seconds=window)
        for name, (unit, window) in _QUOTAS.items()
    ]


def read_limits(written: object) -> Mapping[str, int]:
    """A caller's own limits by quota, in its unit, of what a token says; raises ValueError for what says none."""
    if not isinstance(written, Mapping):
        raise ValueError(f"limits are {type(written).__name__}, no table of {', '.join(LIMIT_NAMES)}")
    limits = {}
    for name, value in written.items():
        if name not in _QUOTAS:
            raise ValueError(f"there is no limit {name!r}; known are {', '.join(LIMIT_NAMES)}")
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _HIGHEST:
            raise ValueError(f"the limit {name} is {value!r}; write a whole number from 0 to {_HIGHEST}")
        limits[name] = _UNITS_OF_ONE[_QUOTAS[name][0]] * value
    return MappingProxyType(limits)
