"""The folder of one run: logs, and every temporary file of the services. Removed at the end, but for logs asked for."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

PREFIX = "uniaudio-"
LOGS = "logs"


def make_run_folder(port: int) -> Path:
    """A fresh private folder, named after the stack's port; what an earlier run on that port kept is removed.

    The name is short because Ray's sockets lie below it, and a socket's path has at most 107 characters.
    """
    folder = Path(tempfile.gettempdir()) / f"{PREFIX}{port}"
    try:
        if folder.lstat().st_uid == os.getuid():
            remove(folder)
    except FileNotFoundError:
        pass  # as usual
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # somebody else's
        return Path(tempfile.mkdtemp(prefix=PREFIX))
    return folder


def remove(folder: Path, *, keep_logs: bool = False) -> None:
    """Removes the folder, or all of it but the logs."""
    if not (keep_logs and (folder / LOGS).is_dir()):
        _remove(folder)
        return
    for path in folder.iterdir():
        if path.name != LOGS:
            _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        # Services that were killed may leave files that vanish meanwhile.
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
