"""Shows what watches see: log lines when a signature comes or goes, metrics, figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.monitors.signatures import Alert, Watch
from training.stage import Evaluation
from uniaudio.runtime.logging import get_logger

_log = get_logger(__name__)


class Board:
    """All watches of a stage; the stage feeds them, asks `metrics` as often as it likes, and shows `look`."""

    def __init__(self, *watches: Watch) -> None:
        self.watches: Sequence[Watch] = watches
        self._showing: set[str] = set()

    @property
    def alerts(self) -> list[Alert]:
        """The signatures that show now."""
        return [alert for watch in self.watches if (alert := watch.alert()) is not None]

    def metrics(self) -> dict[str, float]:
        """Every watch's numbers, and for each signature `signature/<key>`, 1 or 0.

        Logs a warning with the explanation when a signature begins to show, and a line when it is gone.
        """
        numbers: dict[str, float] = {}
        for watch in self.watches:
            alert = watch.alert()
            numbers |= watch.metrics()
            numbers[watch.signature.metric] = float(alert is not None)
            self._tell(watch, alert)
        return numbers

    def look(self) -> Evaluation:
        """Metrics and one figure per watch that has something to show, to be merged into a stage's own."""
        figures = {
            watch.signature.metric: figure for watch in self.watches if (figure := watch.figure()) is not None
        }
        return Evaluation(metrics=self.metrics(), figures=figures)

    def state(self) -> dict[str, Any]:
        """What must survive a restart."""
        return {watch.signature.key: watch.state() for watch in self.watches}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what `state` gave; a watch that it does not know starts empty."""
        for watch in self.watches:
            if watch.signature.key in state:
                watch.load_state(state[watch.signature.key])

    def _tell(self, watch: Watch, alert: Alert | None) -> None:
        key = watch.signature.key
        if alert is not None and key not in self._showing:
            self._showing.add(key)
            _log.warning(alert.text, signature=key, step=alert.step)
        elif alert is None and key in self._showing:
            self._showing.discard(key)
            _log.info(f"{watch.signature.title} shows no more", signature=key)
