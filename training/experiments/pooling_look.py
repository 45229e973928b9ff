"""What pooling costs, told while it trains: each look at a run is compared with those at the other patch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from training.experiments.command import curve_of, last_of
from training.monitors.board import Board
from training.monitors.pooling import PoolingWatch
from training.run_folder import RunFolder
from training.stage import Evaluation

MEASURE, WORDS = "understanding/text", "understanding/wer"
_UNDERSTANDS = 0.5  # word error rate from which on a comparison means something


class PoolingLook:
    """A run's own look, and beside it `pooling/...`, `signature/costly_pooling`, its figure and its log line.

    `folders` are those of the runs by patch size: what they were looked at before is read from there, so a
    run that was stopped needs no memory of it.
    """

    def __init__(
        self, look: Callable[[int], Evaluation], patch_size: int, folders: Mapping[int, RunFolder]
    ) -> None:
        self._look, self._patch_size, self._folders = look, patch_size, folders
        small, large = folders
        self._watch = PoolingWatch((small, large))
        self._board = Board(self._watch)

    def __call__(self, step: int) -> Evaluation:
        """The look at this step, compared."""
        found = self._look(step)
        take_looks(self._watch, self._folders)
        self._watch.add(step, self._patch_size, found.metrics[MEASURE])
        self._watch.ready |= found.metrics[WORDS] <= _UNDERSTANDS
        shown = self._board.look()
        return Evaluation(
            metrics={**found.metrics, **shown.metrics},
            audio=found.audio,
            figures={**found.figures, **shown.figures},
            sample_rate=found.sample_rate,
        )


def take_looks(watch: PoolingWatch, folders: Mapping[int, RunFolder]) -> None:
    """Makes the watch know what the runs were looked at so far, and nothing else."""
    begun = {size: folder for size, folder in folders.items() if folder.metrics.is_file()}
    curves = {str(size): curve_of(folder, f"evaluation/{MEASURE}") for size, folder in begun.items()}
    watch.load_state({size: list(zip(*curve, strict=True)) for size, curve in curves.items()})
    rates = [last_of(folder, f"evaluation/{WORDS}") for folder in begun.values()]
    watch.ready = any(rate is not None and rate <= _UNDERSTANDS for rate in rates)
