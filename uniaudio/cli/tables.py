"""Tables on standard output: as wide as the terminal, wide enough for all in a file or a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

_PIPE_WIDTH = 200


def new_table(*heads: str) -> Table:
    """A table without lines; only a column without a head may break its text."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, no_wrap=head != "")
    return table


def print_table(table: Table) -> None:
    """Prints it, in colour where that is a terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else _PIPE_WIDTH, highlight=False).print(table)
