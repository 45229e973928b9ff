"""A job on the screen while it runs: a live table on a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from uniaudio.cli.jobs_text import COLOURS, item_detail, item_fraction, item_name, job_line
from uniaudio.cli.outcome import say

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from uniaudio.client import EditJob, EditJobItem

# Which items are shown where there is no room for all: those that somebody can do something about first.
_RANKS = {"running": 0, "failed": 1, "queued": 2, "cancelled": 3, "succeeded": 4}
_OTHER_LINES = 5  # of the screen: title, head, what is left out, the prompt
_BAR_WIDTH = 16


class JobScreen:
    """Shows a job as its changes arrive, on standard error; shows nothing when `quiet`."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._items: dict[int, EditJobItem] = {}
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not self._quiet:
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, job: EditJob) -> None:
        """The job as it is now; its items are those that changed."""
        changed = [item for item in job.items if self._has_moved(item)]
        self._items.update((item.index, item) for item in job.items)
        if self._quiet:
            return
        if self._live is None:
            for item in changed:
                say(f"{item.index:4} {item_name(item)}: {_state(item)}, {item_detail(item)}")
            return
        self._live.update(job_table(job, self._items.values(), self._live.console.height), refresh=True)

    def _has_moved(self, item: EditJobItem) -> bool:
        """Whether the item's state is another than the one that was shown last."""
        known = self._items.get(item.index)
        return known is None or (known.state, known.attempts) != (item.state, item.attempts)


def job_table(job: EditJob, items: Iterable[EditJobItem], num_lines: int) -> Table:
    """The items of a job as a table that fits so many lines of a terminal."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=None,
        title=f"{job_line(job)}, {job.fraction:.0%}",
        title_justify="left",
        title_style="bold",
        pad_edge=False,
    )
    for head, justify in (
        ("#", "right"),
        ("recording", "left"),
        ("state", "left"),
        ("", "left"),
        ("try", "right"),
    ):
        table.add_column(head, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    table.add_column("", overflow="ellipsis", no_wrap=True, ratio=1)
    ranked = sorted(items, key=lambda item: (_RANKS[_state(item)], item.index))
    num_shown = max(1, num_lines - _OTHER_LINES)
    for item in sorted(ranked[:num_shown], key=lambda item: item.index):
        state = _state(item)
        table.add_row(
            str(item.index),
            Text(item_name(item), overflow="ellipsis"),
            Text(state, style=COLOURS[state]),
            ProgressBar(total=1.0, completed=item_fraction(item), width=_BAR_WIDTH),
            str(item.attempts or ""),
            Text(item_detail(item)),
        )
    if len(ranked) > num_shown:
        table.caption = f"and {len(ranked) - num_shown} more"
        table.caption_justify = "left"
    return table


def _state(item: EditJobItem) -> str:
    from uniaudio.client import state_of

    return state_of(item)
