"""Every error that a caller can meet tells the value, the limit and the remedy, for programs as for people."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from uniaudio import errors
from uniaudio.runtime.status import all_error_classes

ROOT = Path(errors.__file__).parents[1]
FOLDERS = (
    "services",
    *(f"uniaudio/{name}" for name in ("audio", "client", "editing", "engine", "runtime", "text")),
)
# Ended by the caller itself, or told on a terminal at the start.
SILENT = {errors.CancelledByCallerError, errors.StartupError, errors.CheckpointError}
NAMES = {cls.__name__ for cls in all_error_classes() if cls not in SILENT} | {"UniaudioError"}
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_tell_value_limit_and_remedy(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        told = {keyword.arg for keyword in node.keywords}
        if name in NAMES and None not in told:  # None: a mapping that is passed on
            assert {"value", "limit", "remedy"} <= told, f"line {node.lineno}: {name} tells only {told}"
