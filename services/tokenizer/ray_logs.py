"""What Ray's workers wrote to stderr, passed on to this process's stderr as it comes."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

_POLL_SECONDS = 0.2
# Ray heads each file with lines that tell its own tools whose it is.
_RAY_HEADERS = (":job_id:", ":actor_name:", ":task_name:")


class LogForwarder:
    """Follows the stderr files of all workers below `folder`; JSON lines pass as they are.

    Ray's own forwarding puts a coloured prefix before each line, which no log collector can read.
    """

    def __init__(self, folder: Path, stream: TextIO | None = None) -> None:
        self._folder = folder
        self._stream = sys.stderr if stream is None else stream
        self._offsets: dict[Path, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="ray-logs", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._stopping.wait(_POLL_SECONDS):
            self.forward()
        self.forward()

    def forward(self) -> None:
        """Passes on the whole lines that were written since the last time."""
        for path in sorted(self._folder.glob("session_*/logs/worker-*.err")):
            if path.parent.parent.is_symlink():
                continue  # session_latest
            for line in self._new_lines(path):
                if line.startswith("{"):
                    self._stream.write(line + "\n")
                elif line.strip() and not line.startswith(_RAY_HEADERS):
                    log.info("ray", line=line)
        self._stream.flush()

    def _new_lines(self, path: Path) -> list[str]:
        try:
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                content = file.read()
        except FileNotFoundError:
            return []  # Ray removed it while it stopped
        whole = content.rpartition(b"\n")[0]
        if not whole:
            return []
        self._offsets[path] = self._offsets.get(path, 0) + len(whole) + 1
        return whole.decode("utf-8", errors="replace").split("\n")
