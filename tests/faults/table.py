"""The page of what the faults showed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.hardware import machine
from tests.faults.pace import Pace
from tests.faults.rounds import Round
from tests.marked_page import between, put_between

_BEGIN, _END = "<!-- table: written by make test-faults -->", "<!-- end of table -->"
_HEAD = """\
| fault | how | strikes | jobs accepted | items succeeded | items failed | attempts an item | refused meanwhile | \
new job done after | older ones done after | broken |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def write(page: Path, rounds: Sequence[Round], pace: Pace, seed: int) -> None:
    """Puts rounds, their date and their machine between the marks of the page; rows of other faults stay."""
    where = (
        f"{datetime.now(UTC):%Y-%m-%d}, {machine()}, seed {seed}, lease {pace.lease_seconds:g} s, "
        f"{pace.num_workers} workers, {pace.num_customers} callers"
    )
    rows = {
        line.split(" | ")[0]: line
        for line in between(page, _BEGIN, _END).splitlines()
        if line.startswith("| ")
    }
    rows.pop("| fault", None)
    rows |= {f"| {shown.name}": row(shown) for shown in rounds}
    table = _HEAD + "\n".join(rows.values())
    put_between(page, _BEGIN, _END, f"{where}:\n\n{table}")


def row(shown: Round) -> str:
    """One round as a line of the table."""
    verdict = shown.verdict
    num_items = verdict.items.total()
    cells = [
        shown.name,
        shown.how,
        shown.strikes,
        verdict.num_jobs,
        verdict.items["succeeded"],
        _counts(verdict.items["failed"], verdict.reasons),
        f"{verdict.num_attempts / max(1, num_items):.2f}",
        _counts(sum(shown.refusals.values()), shown.refusals),
        f"{shown.new_job_seconds:.1f} s",
        f"{shown.old_jobs_seconds:.1f} s",
        len(verdict.broken),
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def _counts(total: int, by_reason: Mapping[str, int]) -> str:
    told = ", ".join(f"{reason} {count}" for reason, count in sorted(by_reason.items()))
    return f"{total} ({told})" if told else str(total)
