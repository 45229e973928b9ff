"""What a suite found: items, rows of numbers, tables of rows, and the models that judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Value = float | None
Scoring = Literal["compat", "clean"]


@dataclass(frozen=True)
class Unit:
    """How a metric is shown: `scale` times the value, with so many digits and a unit."""

    scale: float = 1.0
    digits: int = 2
    unit: str = ""

    def show(self, value: Value) -> str:
        """The value for people; a dash for none."""
        if value is None:
            return "–"
        return f"{self.scale * value:.{self.digits}f}{self.unit}"


_PERCENT = Unit(100, 2, " %")
_UNITS = {
    "pesq_wb": Unit(digits=2), "stoi": Unit(digits=3), "si_sdr": Unit(unit=" dB"), "delay": Unit(1000, 1, " ms"),
    "ade": Unit(digits=3, unit=" s"), "aae": Unit(digits=4), "pitch_error": Unit(digits=0, unit=" cents"),
    "over_half": Unit(digits=0), "dnsmos": Unit(), "sim": Unit(digits=3), "variance": Unit(digits=4),
    "dropped": Unit(digits=0), "pesq_gain": Unit(),
}  # fmt: skip


def unit_of(metric: str) -> Unit:
    """How to show a metric: percent, unless its name says otherwise."""
    name = metric.split("/")[-1]
    return next((unit for prefix, unit in _UNITS.items() if name.startswith(prefix)), _PERCENT)


@dataclass(kw_only=True)
class Item:
    """One recording that was judged. A value of None has its reason beside it.

    `audio` are recordings by role (source, output, target), `regions` stretches of them in seconds.
    `badness` sorts the worst first.
    """

    id: str
    task: str
    texts: dict[str, str] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    audio: dict[str, Path] = field(default_factory=dict)
    regions: dict[str, tuple[float, float]] = field(default_factory=dict)
    badness: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """Aggregates of `num_scored` of `num_expected` items; `reasons` tell why a value is None."""

    label: str
    values: Mapping[str, Value] = field(default_factory=dict)
    num_scored: int
    num_expected: int
    reasons: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows that may be compared with each other: one task, one language, one scoring."""

    title: str
    metrics: Sequence[str]
    rows: Sequence[Row]
    scoring: Scoring | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class AimRow:
    """An aim beside what was reached; `met` is None where nothing was measured."""

    what: str
    aim: str
    value: str
    met: bool | None
    reason: str = ""

    @property
    def verdict(self) -> str:
        return {True: "met", False: "missed", None: "not measured"}[self.met]


@dataclass(frozen=True, kw_only=True)
class SuiteResult:
    """Everything that a suite found."""

    suite: str
    settings: Mapping[str, Any]
    models: Sequence[Mapping[str, Any]]
    tables: Sequence[Table]
    items: Sequence[Item]
    aims: Sequence[AimRow] = ()
    notes: Sequence[str] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        described: dict[str, Any] = asdict(self)
        for item in described["items"]:
            item["audio"] = {role: str(path) for role, path in item["audio"].items()}
        for aim, row in zip(described["aims"], self.aims, strict=True):
            aim["verdict"] = row.verdict
        return described


def mean(values: Sequence[Value]) -> Value:
    """The mean of the values that are there; None without any."""
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if present else None


def coverage_row(num_scored: int, num_expected: int) -> Row:
    """The row that says how many of the expected items were scored."""
    share = num_scored / num_expected if num_expected else None
    return Row(label="coverage", values={"coverage": share}, num_scored=num_scored, num_expected=num_expected)


def empty_row(label: str, num_expected: int, reason: str) -> Row:
    """A row that cannot be filled, and why."""
    return Row(label=label, num_scored=0, num_expected=num_expected, reasons={"all": reason})
