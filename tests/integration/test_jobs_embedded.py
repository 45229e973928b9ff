"""The embedded service of jobs, SQLite and a folder, killed at moments of its work and started again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.orchestrator.domain import AudioBytes, EditOrder, Recording, Sampling
from services.orchestrator.edit import Editor
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, FakeTools, tone
from tests.jobs_embedded import SEEDS
from tests.jobs_worker import speaking
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat

ROOT = Path(__file__).resolve().parents[2]
SPOKEN = encode_audio(tone(1.0), AudioFormat(encoding=AudioEncoding.WAV))


def start(folder: Path) -> subprocess.Popen[str]:
    """The service, about to do (or to go on with) one job."""
    environ = {
        **os.environ,
        "UNIAUDIO_JOBS_DIR": str(folder / "jobs"),
        "UNIAUDIO_JOBS_LEASE_SECONDS": "1",
        "UNIAUDIO_JOBS_SWEEP_SECONDS": "0.1",
        "SLOW_PATCH_SECONDS": "0.02",
        "RESUMED_FILE": str(folder / "resumed"),
        "OMP_NUM_THREADS": "1",
    }
    (folder / "recording").write_bytes(SPOKEN)
    command = [sys.executable, "-m", "tests.jobs_embedded", "the job", str(folder / "recording")]
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=log, text=True)


async def undisturbed(seed: int) -> str:
    """The digest of what the same edit gives without jobs."""
    model, tokenizer = FakeLanguageModel(speaking), FakeTokenizer()
    editor = Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools())
    order = EditOrder(
        audio=Recording(content=SPOKEN), instruction="make it sound sad", sampling=Sampling(seed=seed)
    )
    pieces = [item.content async for item in editor.edit(order) if isinstance(item, AudioBytes)]
    return hashlib.sha256(b"".join(pieces)).hexdigest()


@pytest.mark.parametrize("num_pieces", [0, 3])
async def test_killed_and_started_again_it_ends_with_the_same_bytes(tmp_path: Path, num_pieces: int) -> None:
    first = start(tmp_path)
    try:
        ends_at = time.monotonic() + 60
        while len(list(tmp_path.glob("jobs/objects/jobs/*/*/generations/*/*/0*"))) < num_pieces or not list(
            tmp_path.glob("jobs/objects/recordings/*/*")
        ):
            assert first.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < ends_at
            time.sleep(0.02)
    finally:
        first.kill()
        first.communicate(timeout=10)
    second = start(tmp_path)
    try:
        told, _ = second.communicate(timeout=90)
    finally:
        second.kill()
    assert second.returncode == 0, (tmp_path / "log").read_text()
    lines = [line.split() for line in told.splitlines() if line.startswith("succeeded")]
    assert [sha256 for _, _, sha256 in lines] == [await undisturbed(seed) for seed in SEEDS]
    if num_pieces:
        assert [attempts for _, attempts, _ in lines] == ["2", "2"]
        assert (tmp_path / "resumed").exists()
