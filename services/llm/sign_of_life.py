"""A file that a rank touches while it serves, for those who watch it from outside: a hanging one cannot tell."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from services.llm.settings import RankSettings
from uniaudio.errors import UnavailableError


class SignOfLife:
    """The file of one rank on this machine. `touch` writes to it at most once a second."""

    def __init__(
        self, ranks: RankSettings, folder: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        folder = folder or Path(tempfile.gettempdir())
        self._path = folder / f"uniaudio-llm-rank-{ranks.port}-{ranks.rank}"
        self._rank, self._clock = ranks.rank, clock
        self._touched_at = 0.0

    def touch(self) -> None:
        """Notes that the rank lives."""
        now = self._clock()
        if now - self._touched_at >= 1.0:
            self._path.write_text(str(now))
            self._touched_at = now

    def clear(self) -> None:
        """Forgets what an earlier rank has left: one that loads has not begun to live."""
        self._path.unlink(missing_ok=True)

    def check(self, *, limit_seconds: float) -> None:
        """Returns where the rank lived within that time, or is still loading; UnavailableError otherwise."""
        if not self._path.is_file():
            return
        silent = self._clock() - float(self._path.read_text() or 0)
        if silent > limit_seconds:
            raise UnavailableError(
                f"rank {self._rank} has not moved for {silent:.0f} s; at most {limit_seconds:g} s are usual: end it",
                rank=self._rank,
                value=f"{silent:.0f} s",
                limit=f"{limit_seconds:g} s",
                remedy="end it",
            )
