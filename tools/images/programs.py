"""Programs of others that build images: where they are, and how one is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SECONDS = 3600.0
_LAST_LINES = 40


class ImagesError(Exception):
    """Images cannot be built here; the message names what to do."""


def cache() -> Path:
    """What is kept between builds, of all clones of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "uniaudio-tools"


def tool_folder(tool: str, module: str) -> Path:
    """Where the Makefile puts what it builds of tools/<tool>/go.mod; called by the version of `module` there."""
    go_mod = (ROOT / "tools" / tool / "go.mod").read_text()
    version = re.search(rf"{re.escape(module)} v(\S+)", go_mod)
    assert version is not None, f"tools/{tool}/go.mod does not pin {module}"
    return cache() / f"{tool}-{version[1]}"


def built(name: str, tool: str, module: str) -> Path:
    """The program that `make image-tools` built of tools/<tool>/go.mod."""
    path = tool_folder(tool, module) / name
    if not path.is_file():
        raise ImagesError(f"{path} does not exist: run `make image-tools`")
    return path


def installed(name: str) -> Path:
    """A program of the machine's own."""
    path = shutil.which(name)
    if path is None:
        raise ImagesError(f"{name} is not installed: install it (Debian: apt-get install {name})")
    return Path(path)


def run(
    command: Sequence[str | Path], *, seconds: float = _SECONDS, env: Mapping[str, str] | None = None
) -> str:
    """What it printed; ImagesError with the end of that where it fails or takes longer."""
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds,
            env=None if env is None else {**os.environ, **env},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ImagesError(f"{Path(command[0]).name} took over {seconds:.0f} s") from error
    if done.returncode:
        end = "\n".join(done.stdout.splitlines()[-_LAST_LINES:])
        raise ImagesError(f"{Path(command[0]).name} ended with {done.returncode}:\n{end}")
    return done.stdout
