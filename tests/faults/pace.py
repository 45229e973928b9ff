"""How long things take: seconds in `make test`, minutes in `make test-faults`."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Times in seconds; everything that is drawn at random lies between two of them."""

    lease_seconds: float
    sweep_seconds: float
    patch_seconds: float
    """A generation has eighty patches."""
    before_seconds: tuple[float, float]
    """Load before a fault strikes."""
    down_seconds: float
    """How long a process that was killed stays away."""
    away_seconds: float
    """How long a neighbour is gone, slow or full."""
    times: int
    """How often a process is killed."""
    patience_seconds: float
    """After that, what has not ended never will."""
    num_workers: int = 2
    num_customers: int = 4


SHORT = Pace(
    lease_seconds=1.0,
    sweep_seconds=0.2,
    patch_seconds=0.005,
    before_seconds=(0.0, 0.4),
    down_seconds=0.1,
    away_seconds=0.6,
    times=1,
    patience_seconds=90,
)
LONG = Pace(
    lease_seconds=5,
    sweep_seconds=0.5,
    patch_seconds=0.02,
    before_seconds=(2, 6),
    down_seconds=2,
    away_seconds=60,
    times=3,
    patience_seconds=300,
)


def on_the_stack(pace: Pace) -> Pace:
    """The same where the models are real: they need all cores for one caller, and half a minute to start again."""
    return replace(pace, times=1, num_customers=1)
