"""Lines of a pod's log with their time stamps, each once however often the log is asked for."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime

_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_NANOSECONDS = 10**9
_SKEW_SECONDS = 300  # the node's clock and ours; what comes twice by it is dropped by its stamp


class NewLines:
    """Drops what was seen before, by the stamps that the cluster puts before lines.

    `newest` is the stamp of the last line that was new, in nanoseconds since 1970; 0 before the first.
    """

    def __init__(self) -> None:
        self.newest = 0

    def since_seconds(self) -> int | None:
        """How far back the log must be asked for, to miss nothing; None for all of it."""
        if not self.newest:
            return None
        return max(0, int(time.time() - self.newest / _NANOSECONDS)) + _SKEW_SECONDS

    def of(self, lines: Iterable[bytes]) -> Iterator[str]:
        """The text of each line that is new, without its stamp."""
        for line in lines:
            stamp, _, text = line.decode("utf-8", errors="replace").partition(" ")
            moment = _nanoseconds(stamp)
            if moment is None:
                yield f"{stamp} {text}".rstrip()  # the cluster itself speaks
            elif moment > self.newest:
                self.newest = moment
                yield text


def _nanoseconds(stamp: str) -> int | None:
    """Since 1970; None for what is no time stamp."""
    match = _STAMP.fullmatch(stamp)
    if match is None:
        return None
    whole = datetime.fromisoformat(match[1] + match[3]).timestamp()
    return int(whole) * _NANOSECONDS + int((match[2] or "").ljust(9, "0"))
