"""`uniaudio verify` on two goldens of the project's own: a row per tensor, and an exit code that can be trusted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from uniaudio.cli.app import app

POOLING, PROMPTS = "06_linear_pooling", "10_prompts"


@pytest.fixture
def folder(root: Path, tmp_path: Path) -> Path:
    """The project's own checkpoint and recordings, with two of its goldens."""
    own = root / "tests" / "parity" / "golden_own"
    for name in ("checkpoint", "audio"):
        (tmp_path / name).symlink_to(own / name)
    (tmp_path / "golden").mkdir()
    for path in own.glob("golden/*"):
        if path.stem in (POOLING, PROMPTS):
            shutil.copy(path, tmp_path / "golden")
    return tmp_path


def test_goldens_that_match(folder: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(folder)])
    assert result.exit_code == 0, result.output
    rows = [line for line in result.stdout.splitlines() if line.startswith(f"{POOLING} ")]
    assert any(row.endswith(" ok") for row in rows)
    assert "not in this folder: 01_vae_encode" in result.stderr


def test_a_difference_fails_and_is_named(folder: Path) -> None:
    path = folder / "golden" / f"{POOLING}.safetensors"
    tensors = load_file(path)
    name = next(name for name, tensor in tensors.items() if tensor.dtype == "float32" and name != "input")
    tensors[name] = tensors[name] + 1
    save_file(tensors, path)
    result = CliRunner().invoke(app, ["verify", str(folder), "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["passed"] is False
    missed = [row for row in told["rows"] if row["verdict"] == "miss"]
    assert {row["golden"] for row in missed} == {POOLING}
    assert missed[0]["difference"] > missed[0]["tolerance"]


def test_nothing_to_verify_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 3
    assert "holds no goldens" in result.stderr


def test_recording_never_overwrites(folder: Path) -> None:
    result = CliRunner().invoke(app, ["verify", str(folder), "--record"])
    assert (result.exit_code, "never overwritten" in result.stderr) == (3, True)


def test_without_the_extra_it_says_what_to_install(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from uniaudio.cli.app import app; "
        f"app(['verify', {str(tmp_path)!r}], prog_name='uniaudio')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "torch: install the extra" in done.stderr
