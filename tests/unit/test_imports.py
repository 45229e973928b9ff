"""What importing really loads; the import contracts say the same about the source."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SCRIPT = """
import importlib, pkgutil, sys, threading

def load(name):
    module = importlib.import_module(name)
    for _, child, _ in pkgutil.iter_modules(getattr(module, "__path__", []), name + "."):
        if not child.endswith((".__main__", ".migrations.env")):  # programs: they do what they are for
            load(child)

for name in sys.argv[2:]:
    load(name)
print([name for name in sys.argv[1].split(",") if name in sys.modules], threading.active_count())
"""


def _load(names: list[str], unwanted: list[str]) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, ",".join(unwanted), *names],
        cwd=ROOT,
        env={"PATH": "", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize(
    ("names", "unwanted"),
    [
        (["uniaudio.runtime", "uniaudio.client", "services.orchestrator"], ["torch", "tokenizers", "ray"]),
        (
            ["uniaudio.nn", "uniaudio.checkpoint", "uniaudio.tokenizer", "uniaudio.llm", "uniaudio.engine"],
            ["grpc", "google.protobuf", "soundfile", "soxr", "structlog", "opentelemetry", "ray"],
        ),
        (["uniaudio.audio", "uniaudio.text", "uniaudio.editing"], ["torch", "grpc", "google.protobuf"]),
    ],
    ids=["wire column", "model column", "plain floor"],
)
def test_a_column_loads_nothing_of_the_other_and_starts_nothing(
    names: list[str], unwanted: list[str]
) -> None:
    assert _load(names, unwanted) == "[] 1", "unwanted modules that were loaded, and the number of threads"
