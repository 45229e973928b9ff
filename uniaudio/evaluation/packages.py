"""Optional packages, brought in when they are needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from uniaudio.errors import StartupError


def need(name: str, install: str = "pip install 'uniaudio[evaluation]'") -> ModuleType:
    """The package `name`; StartupError with what to install where it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != name.split(".")[0]:
            raise
        raise StartupError(
            f"this needs the package {name}, which is not installed: {install}",
            reason="MISSING_PACKAGE",
            value=name,
            remedy=install,
        ) from error
