"""What verification found: one row per tensor or text, and the tolerances that decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

# Absolute tolerances, several times what float32 rounding alone changes.
TABLE = 1e-6  # time grids: no weight takes part
ENCODED = 1e-4  # posterior, unified and pooled embeddings, decoder hidden states
WAVEFORM = 1e-5  # samples from given latents or samples
LANGUAGE = 3e-4  # hidden states, caches and logits of the language model
ROUTER = 2e-5  # weights; ids are exact
FLOW = 1e-4  # velocities and sampled patches
GENERATED = 5e-4  # latents, conditions and stop logits of a whole generation
GENERATED_WAVEFORM = 1e-4
EXACT = 0.0


class Verdict(Enum):
    """What a row says."""

    OK = "ok"
    MISS = "miss"  # outside its tolerance, or another shape
    FAILED = "failed"  # could not be run
    UNKNOWN = "unknown"  # nothing here computes it
    GIVEN = "given"  # an input, taken as it is
    NOTE = "note"  # a text beside the numbers that nothing compares


_BAD = (Verdict.MISS, Verdict.FAILED, Verdict.UNKNOWN)


@dataclass(frozen=True)
class Row:
    """One tensor or text of one golden file.

    `difference` is the largest absolute one, None where nothing was compared; `detail` says why a row
    is bad.
    """

    golden: str
    name: str
    verdict: Verdict
    difference: float | None = None
    tolerance: float | None = None
    detail: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether this row alone makes the verification fail."""
        return self.verdict in _BAD


@dataclass(frozen=True)
class VerifyReport:
    """All rows, in the order of the files; `notes` say what was chosen or absent."""

    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True if something was compared and nothing is bad."""
        return any(row.verdict is Verdict.OK for row in self.rows) and not self.bad_rows

    @property
    def bad_rows(self) -> tuple[Row, ...]:
        """Rows that miss, could not be run or are unknown."""
        return tuple(row for row in self.rows if row.is_bad)

    def summary(self) -> str:
        """One line per golden file and one for all."""
        goldens = list(dict.fromkeys(row.golden for row in self.rows))
        lines = [_summary_line(name, [r for r in self.rows if r.golden == name]) for name in goldens]
        return "\n".join((*lines, _summary_line("all", self.rows)))


def _summary_line(name: str, rows: Iterable[Row]) -> str:
    rows = list(rows)
    compared = [row for row in rows if row.verdict in (Verdict.OK, Verdict.MISS)]
    closest = max(compared, key=_share, default=None)
    text = f"{name}: {sum(row.verdict is Verdict.OK for row in rows)} of {len(compared)} compared are ok"
    num_bad = sum(row.is_bad for row in rows) - sum(row.verdict is Verdict.MISS for row in rows)
    if num_bad:
        text += f", {num_bad} not run or unknown"
    if closest is not None and _share(closest) > 0:
        text += f"; nearest its tolerance: {closest.name} at {_share(closest):.0%}"
    return text


def _share(row: Row) -> float:
    """Difference as a part of the tolerance."""
    if not row.difference or row.tolerance is None:
        return 0.0
    return row.difference / row.tolerance if row.tolerance else float("inf")
