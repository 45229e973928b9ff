"""Thousands of odd inputs, each in a process of its own: no crash, typed errors alone, nothing left behind.

`make fuzz` tries 100 000 by another seed each time.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

NUM_INPUTS = int(os.environ.get("UNIAUDIO_FUZZ_INPUTS", "1000"))
SEED = int(os.environ.get("UNIAUDIO_FUZZ_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
SHARES = {"intake": 0.8, "rpcs": 0.2}
MEBIBYTE = 1 << 20

pytestmark = pytest.mark.timeout(120 + NUM_INPUTS)


@pytest.mark.parametrize("what", SHARES)
def test_odd_inputs_are_refused_and_nothing_else_happens(what: str, tmp_path: Path) -> None:
    num_inputs = round(NUM_INPUTS * SHARES[what])
    last_input = tmp_path / "last"
    python = [sys.executable, "-X", "dev", "-W", "error"]
    result = subprocess.run(
        [*python, "-m", f"tests.fuzz.{what}", str(num_inputs), str(SEED), str(last_input)],
        capture_output=True,
        text=True,
        timeout=110 + NUM_INPUTS,
        check=False,
    )
    said = (
        f"seed {SEED}, exit code {result.returncode}, last input {_kept(last_input)}\n{result.stderr[-4000:]}"
    )
    assert result.returncode == 0, said
    told = json.loads(result.stdout.splitlines()[-1])
    assert sum(told["outcomes"].values()) == num_inputs
    assert len(told["outcomes"]) > 1, told
    assert told["grown_bytes"] < 64 * MEBIBYTE, told
    assert told["grown_files"] <= 8, told


def _kept(path: Path) -> str:
    """The input that the process had before it when it ended."""
    return path.read_bytes()[:4000].hex() if path.exists() else "none"
