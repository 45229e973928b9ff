"""Programs of others that the Makefile builds for tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parent.parent


def built_tool(name: str, how: str) -> str:
    """The program's path; the test is skipped where it was not built, and told `how` it would be."""
    found = _ROOT / ".tools/bin" / name
    path = str(found) if found.exists() else shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not built: {how}")
    return path
