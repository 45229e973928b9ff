"""Collects what the steps measure and tells it: to people, to files, and to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor

from training.ranks.ranks import Ranks
from training.run_folder import RunFolder
from training.stage import Evaluation
from training.telling.metric_window import MetricWindow, shown
from training.telling.metrics import MetricSink, named_evaluation, open_sinks
from training.telling.progress import RunProgress


class Reporter:
    """Metrics of one run from all its ranks; only the first rank writes and shows.

    Use it as a context once the step to begin with is known: `with reporter.from_step(n):`.
    """

    def __init__(self, run: str, folder: RunFolder, ranks: Ranks, progress: RunProgress) -> None:
        self._run, self._folder, self._ranks, self._progress = run, folder, ranks, progress
        self._window = MetricWindow()
        self._sinks: list[MetricSink] = []
        self._mark = 0.0

    def from_step(self, step: int) -> Self:
        """Begins after `step` finished steps: what files hold of later ones is dropped."""
        if self._ranks.is_first:
            self._sinks = open_sinks(self._run, self._folder, step)
        self._progress.step(step)
        return self

    def __enter__(self) -> Self:
        self._progress.__enter__()
        self._mark = time.monotonic()
        return self

    def __exit__(self, *details: object) -> None:
        self._progress.__exit__(*details)
        for sink in self._sinks:
            sink.close()

    def note_parts(self, prefix: str, parts: Mapping[str, Tensor]) -> None:
        """This rank's parts of metrics, which add up over the ranks."""
        self._window.add({prefix + name: value for name, value in parts.items()})

    def note(self, prefix: str, values: Mapping[str, float]) -> None:
        """Metrics that every rank has alike."""
        if self._ranks.is_first:
            self._window.add({prefix + name: value for name, value in values.items()})

    def end_step(self, done: int) -> None:
        """Counts the time since the last step, or since what came between, as the step's."""
        self._window.add_step(time.monotonic() - self._mark)
        self._progress.step(done)
        self._mark = time.monotonic()

    def skip_time(self) -> None:
        """What was done since the last step (an evaluation, a checkpoint) was not training."""
        self._mark = time.monotonic()

    def log(self, done: int, rates: Mapping[str, float]) -> None:
        """Tells the metrics since the last log, and the learning rates as they are."""
        values = {**shown(self._ranks.gather(self._window.take())), **rates}
        if self._ranks.is_first:
            for sink in self._sinks:
                sink.log(done, values)
            self._progress.report(done, values)

    def show(self, done: int, evaluation: Evaluation) -> None:
        """Tells an evaluation."""
        for sink in self._sinks:
            sink.show(done, evaluation)
        numbers = {name: float(f"{value:.5g}") for name, value in named_evaluation(evaluation).items()}
        self._progress.tell("evaluated", step=done, **numbers)

    def tell(self, event: str, **values: Any) -> None:
        """Something happened."""
        self._progress.tell(event, **values)
