"""Odd inputs in processes of their own: no crash, typed errors alone, nothing left behind.

A thousand here. `make fuzz` tries 100 000 of each kind, in batches that pass or fail by themselves: one that failed,
or a run that was ended, goes on by the names of its batches and UNIAUDIO_FUZZ_SEED.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

KINDS = {"intake": 600, "rpcs": 250, "generations": 150}
"""Recordings, calls of any method, and requests to the language model: how many in `make test`."""
NUM_INPUTS = int(os.environ.get("UNIAUDIO_FUZZ_INPUTS", "0"))
SEED = int(os.environ.get("UNIAUDIO_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
MEBIBYTE = 1 << 20
_BATCH = 5_000
_SECONDS = 110 + NUM_INPUTS // 50  # of a batch
BATCHES = [
    pytest.param(kind, first, min(_BATCH, count - first), id=f"{kind}-{first}")
    for kind, count in ((kind, NUM_INPUTS or short) for kind, short in KINDS.items())
    for first in range(0, count, _BATCH)
]

pytestmark = pytest.mark.timeout(_SECONDS + 10)


@pytest.mark.parametrize(("kind", "first", "count"), BATCHES)
def test_odd_inputs_are_refused_and_nothing_else_happens(
    kind: str, first: int, count: int, tmp_path: Path
) -> None:
    last_input = tmp_path / "last"
    python = [sys.executable, "-X", "dev", "-W", "error"]
    result = subprocess.run(
        [*python, "-m", f"tests.fuzz.{kind}", str(first), str(count), str(SEED), str(last_input)],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    said = (
        f"seed {SEED}, exit code {result.returncode}, last input {_kept(last_input)}\n{result.stderr[-4000:]}"
    )
    assert result.returncode == 0, said
    told = json.loads(result.stdout.splitlines()[-1])
    assert sum(told["outcomes"].values()) == count
    assert len(told["outcomes"]) > 1, told
    assert told["grown_bytes"] < 64 * MEBIBYTE, told
    assert told["grown_files"] <= 8, told


def _kept(path: Path) -> str:
    """The input that the process had before it when it ended."""
    return path.read_bytes()[:4000].hex() if path.exists() else "none"
