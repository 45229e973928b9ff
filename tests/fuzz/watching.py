"""What a fuzz run is told, and what it watches: its memory, its open files, and the input that it died of."""

from __future__ import annotations

import faulthandler
import gc
import json
import os
import random
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOM_BYTES = 3 << 30
"""Address space beyond what a run begins with: an allocation by a lying header fails instead of swapping."""


@dataclass(frozen=True)
class Batch:
    """So many inputs of a seed, from number `first` on. Each is drawn from its own number, alone or in company."""

    first: int
    count: int
    seed: int
    last_input: Path
    """File for what is being tried, in case the process dies of it."""

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Batch:
        """FIRST COUNT SEED LAST_INPUT, as every run takes them."""
        first, count, seed, last_input = arguments
        return cls(int(first), int(count), int(seed), Path(last_input))

    @property
    def numbers(self) -> range:
        """Of its inputs."""
        return range(self.first, self.first + self.count)

    def random(self, number: int) -> random.Random:
        """What an input is drawn from."""
        return random.Random(f"{self.seed}-{number}")

    def is_warm(self, number: int) -> bool:
        """Whether this is the input before which everything has been loaded and cached that will be."""
        return number == self.first + self.count // 4


@dataclass
class Watch:
    """Counts outcomes, and looks at what the process takes up."""

    outcomes: Counter[str] = field(default_factory=Counter)
    warm_bytes: int = 0
    warm_files: int = 0

    def begin(self) -> None:
        """Bounds the process's memory, and has crashes tell where they were."""
        faulthandler.enable()
        space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (space + ROOM_BYTES, space + ROOM_BYTES))

    def warm(self) -> None:
        """What is in use now is what a running process needs; more at the end is a leak."""
        self.warm_bytes, self.warm_files = _resident_bytes(), _num_files()

    def tell(self) -> None:
        """The outcome, one line of JSON on standard output."""
        told = {
            "outcomes": self.outcomes,
            "grown_bytes": _resident_bytes() - self.warm_bytes,
            "grown_files": _num_files() - self.warm_files,
            "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }
        sys.stdout.write(json.dumps(told) + "\n")


def _resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _num_files() -> int:
    return len(os.listdir("/proc/self/fd"))
