"""Jobs on the local stack, every part real: from a command to files, and a batch where one item needs the model."""

from __future__ import annotations

import os
import subprocess
import sys
import wave
from pathlib import Path

import pytest

from tests.stack import Stack
from uniaudio.client import SpeechClient, batch, edit_step, sampling, state_of

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "docs/hello.flac"
pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def jobs(stack: Stack, *arguments: object, code: int = 0) -> str:
    """What `uniaudio jobs ...` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "uniaudio.cli", "jobs", *map(str, arguments)],
        capture_output=True,
        env={**os.environ, **stack.environment},
        timeout=120,
        check=False,
        text=True,
    )
    assert done.returncode == code, done.stderr
    return done.stdout.strip()


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


def test_a_chain_from_a_command_to_a_file(stack: Stack, tmp_path: Path) -> None:
    edits = ("make it 2 times faster", "slow it down to 80%")
    job_id = jobs(stack, "create", HELLO, *edits, "--request-id", "e2e-chain", "--watch")
    assert jobs(stack, "create", HELLO, *edits, "--request-id", "e2e-chain") == job_id
    assert "succeeded" in jobs(stack, "get", job_id)
    assert job_id in jobs(stack, "list", "--state", "succeeded", "--since", "1h")
    jobs(stack, "download", job_id, "--folder", tmp_path)
    assert jobs(stack, "create", HELLO, "make it sound happy", "--engine", "exact", code=3) == ""
    with SpeechClient(stack.address) as client:
        report = client.jobs.get(job_id).items[0].reports
    assert seconds(tmp_path / "0000-hello.wav") == pytest.approx(report[0].source_seconds / 1.6, rel=0.01)
    jobs(stack, "delete", job_id)
    jobs(stack, "get", job_id, code=3)


def test_a_batch_with_the_model(stack: Stack) -> None:
    spoken = edit_step("make it sound happy", engine="model", sampling=sampling(seed=7))
    with SpeechClient(stack.address, timeout_seconds=60) as client:
        job = client.jobs.create(batch([HELLO], ["make it 6 dB louder", spoken], output_format="flac"))
        done = client.jobs.wait(job.job_id, timeout_seconds=200)
        louder, happy = done.items
        assert state_of(louder) == "succeeded"
        content = b"".join(client.jobs.download(job.job_id, 0))
        assert content.startswith(b"fLaC")
        # A model with random weights may well answer with nothing that can be used.
        assert (state_of(happy), happy.error.reason) in {("succeeded", ""), ("failed", "MODEL_OUTPUT")}
