"""Whoever answers the tokenizer's calls, or passes them on, knows every call of the contract."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from services.orchestrator import tokenizer_servicer
from services.tokenizer import servicer
from uniaudio.runtime.guard.roles import METHODS
from uniaudio.v1 import tokenizer_pb2

SERVICE = tokenizer_pb2.DESCRIPTOR.services_by_name["TokenizerService"]
CALLS = {method.name for method in SERVICE.methods}
# Read, not imported: Ray warns while it is imported, which tests take for an error.
DEPLOYMENT = Path(servicer.__file__).parent / "deployment.py"


@pytest.mark.parametrize("path", [servicer.__file__, tokenizer_servicer.__file__, DEPLOYMENT])
def test_every_call_is_there(path: str) -> None:
    classes = [node for node in ast.parse(Path(path).read_text()).body if isinstance(node, ast.ClassDef)]
    methods = [{item.name for item in one.body if isinstance(item, ast.AsyncFunctionDef)} for one in classes]
    assert any(names >= CALLS for names in methods)


def test_every_call_says_who_may_make_it() -> None:
    assert {f"/{SERVICE.full_name}/{name}" for name in CALLS} <= set(METHODS)
