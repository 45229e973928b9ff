"""`python -m training.train`: trains, is stopped by a signal, goes on, and does nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from safetensors.torch import load_file
from typer.testing import CliRunner

from training.train import app

SECONDS = 100.0


def train(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(args))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_a_signal_stops_and_the_same_command_goes_on(tmp_path: Path, root: Path) -> None:
    metrics = tmp_path / "runs" / "toy" / "metrics.jsonl"
    command = [sys.executable, "-m", "training.train", "debug", "--work", str(tmp_path), "--only", "toy"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    # More steps than it can do before the signal.
    process = subprocess.Popen(
        [*command, "--steps", "1000000"], cwd=root, env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline = time.monotonic() + SECONDS
        while not (metrics.is_file() and metrics.stat().st_size) and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 75, errors
    assert "run the same command again to continue" in errors
    stopped_at = max(json.loads(line)["step"] for line in metrics.read_text().splitlines())

    code, output = train("debug", "--work", str(tmp_path), "--only", "toy", "--steps", str(stopped_at + 200))
    assert code == 0, output
    steps = [json.loads(line)["step"] for line in metrics.read_text().splitlines()]
    assert steps == sorted(steps)
    assert steps[-1] == stopped_at + 200


def test_runs_go_to_the_store_that_is_named_and_finished_ones_are_skipped(tmp_path: Path) -> None:
    args = (
        "debug",
        "--short",
        "--steps",
        "4",
        "--work",
        str(tmp_path),
        "--store",
        str(tmp_path / "elsewhere"),
    )
    code, output = train(*args)
    assert code == 0, output
    weights = tmp_path / "runs" / "toy-critic" / "weights.safetensors"
    assert {name.partition(".")[0] for name in load_file(weights)} == {"model", "critic"}
    assert (tmp_path / "elsewhere" / "toy").is_dir()
    written_at = weights.stat().st_mtime_ns
    code, output = train(*args)
    assert code == 0
    assert "toy-critic: finished before" in output
    assert weights.stat().st_mtime_ns == written_at
    assert train("debug", "--work", str(tmp_path), "--list")[1].count("finished at step 4") == 2


def test_wrong_usage_and_refusals(tmp_path: Path) -> None:
    code, output = train("nothing", "--work", str(tmp_path))
    assert (code, "there is no recipe 'nothing'" in output) == (2, True)
    assert train("debug", "--only", "tou", "--work", str(tmp_path))[0] == 2
    assert train("debug", "--steps", "0", "--work", str(tmp_path))[0] == 2
    code, output = train("debug", "--short", "--work", str(tmp_path), "--store", "ftp://somewhere")
    assert (code, "ftp" in output) == (3, True)
