"""The model that runs when nobody names one: small, random, made once and kept in the cache."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from uniaudio.errors import StartupError

_MODULE = "uniaudio.random_model"
_TIMEOUT_SECONDS = 300.0


def default_model_folder(cache: Path) -> Path:
    """Where the model is kept; another version of its recipe gets another folder."""
    recipe = importlib.util.find_spec(_MODULE)  # found, not imported: that would bring torch in
    assert recipe is not None
    assert recipe.origin is not None
    digest = hashlib.sha256(Path(recipe.origin).read_bytes()).hexdigest()[:12]
    return cache / f"random-model-{digest}"


def make_default_model(folder: Path, *, on_start: Callable[[], None] = lambda: None) -> None:
    """Writes the model unless it is there; it appears whole or not at all. Raises StartupError.

    `on_start` is called where there is something to do.
    """
    if (folder / "config.json").is_file():
        return
    on_start()
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        made = subprocess.run(
            [sys.executable, "-m", _MODULE, str(part / "model")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
        if made.returncode != 0:
            raise StartupError(
                f"the random model could not be made in {folder.parent}: {made.stdout.strip()[-2000:]}",
                value=made.returncode,
            )
        try:
            os.rename(part / "model", folder)
        except OSError:
            if not (folder / "config.json").is_file():  # else a second start was faster
                raise
    except subprocess.TimeoutExpired as error:
        raise StartupError(
            f"the random model was not made within {_TIMEOUT_SECONDS:g} s; try again"
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
