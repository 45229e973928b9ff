"""How much: "20%", "twice", "+3 dB", "two semitones", "a bit", turned into the value of an edit."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass

from uniaudio.editing.plan import EditKind


class Unit(enum.Enum):
    """What an amount counts."""

    TIMES = "times"
    PERCENT = "percent"
    DECIBELS = "dB"
    SEMITONES = "semitones"
    NUMBER = "a bare number"
    DEGREE = "a word such as slightly"  # value 0 a little, 1 unsaid, 2 a lot


@dataclass(frozen=True)
class Amount:
    """A number with its unit."""

    value: float
    unit: Unit


UNSAID = Amount(1, Unit.DEGREE)
# What a bare "faster", "louder", "higher" means: a little, unsaid, a lot.
_SPEED_UP = (1.1, 1.25, 1.5)
_SPEED_DOWN = (0.9, 0.8, 0.65)
_DECIBELS = (3.0, 6.0, 10.0)
_SEMITONES = (1.0, 2.0, 4.0)


def absolute_value(kind: EditKind, amount: Amount) -> float | None:
    """The value when the amount says what it shall become ("to 80%"); None when that means nothing."""
    if kind is EditKind.PITCH or amount.unit not in (Unit.TIMES, Unit.PERCENT, Unit.NUMBER):
        return None
    return amount.value / 100 if amount.unit is Unit.PERCENT else amount.value


def relative_value(kind: EditKind, direction: int, amount: Amount) -> float | None:
    """The value when the amount says by how much it changes ("20% faster"); `direction` is +1 or -1.

    "f times faster" is f times the rate, "f times slower" one f-th of it. None when kind and unit do
    not go together.
    """
    if kind is EditKind.PITCH:
        return _relative_pitch(direction, amount)
    if amount.unit is Unit.DEGREE:
        if kind is EditKind.SPEED:
            return (_SPEED_UP if direction > 0 else _SPEED_DOWN)[int(amount.value)]
        return decibels_to_factor(direction * _DECIBELS[int(amount.value)])
    if amount.unit is Unit.DECIBELS:
        return decibels_to_factor(direction * amount.value) if kind is EditKind.VOLUME else None
    if amount.unit is Unit.PERCENT:
        return 1 + direction * amount.value / 100
    if amount.unit is Unit.TIMES:
        return _relative_times(direction, amount.value)
    if amount.unit is Unit.NUMBER and 0 < amount.value < 1:
        return 1 + direction * amount.value
    return None


def _relative_times(direction: int, factor: float) -> float | None:
    if factor <= 0:
        return None
    if factor >= 1:
        return factor if direction > 0 else 1 / factor
    return 1 + factor if direction > 0 else factor


def _relative_pitch(direction: int, amount: Amount) -> float | None:
    if amount.unit is Unit.DEGREE:
        return direction * _SEMITONES[int(amount.value)]
    if amount.unit in (Unit.SEMITONES, Unit.NUMBER):
        return direction * amount.value
    if amount.unit is Unit.PERCENT and direction * amount.value > -100:
        return 12 * math.log2(1 + direction * amount.value / 100)
    if amount.unit is Unit.TIMES and amount.value > 0:
        return direction * abs(12 * math.log2(amount.value))
    return None


def decibels_to_factor(decibels: float) -> float:
    """Amplitude factor of a change in dB."""
    return float(10 ** (decibels / 20))


def factor_to_decibels(factor: float) -> float:
    """Change in dB of an amplitude factor above 0."""
    return 20 * math.log10(factor)
