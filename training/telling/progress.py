"""Where a run is: one live line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from uniaudio.runtime.logging import get_logger

_SHOWN = 4
_log = get_logger(__name__)


class RunProgress(Protocol):
    """What the loop tells while it trains."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def step(self, done: int) -> None:
        """`done` steps of the run are done."""

    def report(self, done: int, values: Mapping[str, float]) -> None:
        """Metrics of the steps since the last report."""

    def tell(self, event: str, **values: Any) -> None:
        """Something happened: an evaluation, a checkpoint, a stop."""


class Silent:
    """For every rank but the first."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def step(self, done: int) -> None:
        return None

    def report(self, done: int, values: Mapping[str, float]) -> None:
        return None

    def tell(self, event: str, **values: Any) -> None:
        return None


class LogLines(Silent):
    """One log line for every report."""

    def __init__(self, run: str, num_steps: int) -> None:
        self._run, self._num_steps = run, num_steps

    def report(self, done: int, values: Mapping[str, float]) -> None:
        shown = {name: float(f"{value:.4g}") for name, value in main_values(values).items()}
        left = duration_text(seconds_left(self._num_steps - done, values))
        _log.info("training", run=self._run, step=done, of=self._num_steps, **shown, left=left)

    def tell(self, event: str, **values: Any) -> None:
        _log.info(event, run=self._run, **values)


class LiveLine:
    """A bar with step, losses, rate and time left; events scroll above it."""

    def __init__(self, run: str, num_steps: int, console: Console) -> None:
        self._num_steps, self._console = num_steps, console
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            console=console,
            refresh_per_second=2,
        )
        self._task = self._bar.add_task(run, total=num_steps, text="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, done: int) -> None:
        self._bar.update(self._task, completed=done)

    def report(self, done: int, values: Mapping[str, float]) -> None:
        parts = [f"{name} {value:.4g}" for name, value in main_values(values).items()]
        parts.append(f"{duration_text(seconds_left(self._num_steps - done, values))} left")
        self._bar.update(self._task, completed=done, text=" · ".join(parts))

    def tell(self, event: str, **values: Any) -> None:
        details = " ".join(f"{name}={value}" for name, value in values.items())
        self._console.print(f"{event} {details}", markup=False, highlight=False)


def progress_for(run: str, num_steps: int, console: Console) -> RunProgress:
    """A live line where `console` is a terminal, else log lines."""
    return LiveLine(run, num_steps, console) if console.is_terminal else LogLines(run, num_steps)


def main_values(values: Mapping[str, float]) -> dict[str, float]:
    """What a line has room for: the losses, then the rate."""
    losses = [name for name in values if name.rpartition("/")[2] == "loss"]
    kinds = ("audio_seconds_per_second", "items_per_second", "steps_per_second")
    rates = [name for kind in kinds for name in values if name.rpartition("/")[2] == kind]
    return {name: values[name] for name in [*losses[:_SHOWN], *rates[:1]]}


def seconds_left(num_steps: int, values: Mapping[str, float]) -> float:
    """Time that `num_steps` take at the reported rate."""
    return num_steps / max(values.get("steps_per_second", 0.0), 1e-9)


def duration_text(seconds: float) -> str:
    """Seconds as people say them: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 100 else f"{hours / 24:.1f} days"
