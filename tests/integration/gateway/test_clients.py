"""Clients that nobody here wrote before the gateway: OpenAI's for JavaScript, curl, ffmpeg, schemathesis."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import Mock

import httpx2 as httpx
import numpy as np
import pytest
import schemathesis
import soundfile
from hypothesis import HealthCheck, settings

from services.gateway.app import create_app
from services.gateway.bounds import Bounds
from tests.gateway_house import WAV, running_gateway
from tests.orchestrator_house import running_house

NODE_CLIENT = Path(__file__).with_name("openai_client.mjs")
PACKAGE = NODE_CLIENT.parents[3] / "tools/node_modules/openai"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(WAV)
    return path


def run(*command: object) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done


def test_openai_for_javascript(address: str, recording: Path) -> None:
    if shutil.which("node") is None or not PACKAGE.is_dir():
        pytest.skip("OpenAI's JavaScript client is not here: npm ci --prefix tools")
    told = json.loads(run("node", NODE_CLIENT, f"{address}/v1", recording).stdout)
    assert told == {
        "text": "hello there",
        "pieces": ["transcript.text.delta", "transcript.text.delta", "transcript.text.done"],
        "bytes": 44 + 6400,
        "models": ["fake-model"],
        "refusal": "404 model_not_found",
    }


def test_curl(address: str, recording: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl here: apt-get install curl")
    heard = run(
        "curl",
        "-sSf",
        "-F",
        f"file=@{recording}",
        "-F",
        "model=whisper-1",
        f"{address}/v1/audio/transcriptions",
    )
    assert json.loads(heard.stdout)["text"] == "hello there"
    sound = tmp_path / "speech.wav"
    body = '{"model": "tts-1", "input": "hello", "voice": "default", "response_format": "wav"}'
    run(
        "curl",
        "-sSf",
        "-H",
        "content-type: application/json",
        "-d",
        body,
        "-o",
        sound,
        f"{address}/v1/audio/speech",
    )
    assert sound.stat().st_size == 44 + 6400


@pytest.fixture
async def house_address() -> AsyncIterator[str]:
    """A gateway before the real orchestrator, which writes real files, before a faked model."""
    async with running_house() as house:
        with running_gateway(house.address) as address:
            yield address


@pytest.mark.parametrize("response_format", ["mp3", "opus", "flac", "wav", "pcm"])
async def test_ffmpeg_reads_every_format(house_address: str, response_format: str, tmp_path: Path) -> None:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("no ffmpeg here: apt-get install ffmpeg")
    order = {"input": "hello", "response_format": response_format, "seed": 1}
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(f"{house_address}/v1/audio/speech", json=order)
    assert answer.status_code == 200, answer.text
    sound, decoded = tmp_path / f"speech.{response_format}", tmp_path / "decoded.wav"
    sound.write_bytes(answer.content)
    raw = ["-f", "s16le", "-ar", "24000", "-ac", "1"] if response_format == "pcm" else []
    # A WAV that is streamed leaves its length open, which ffmpeg takes for a cut last packet, and reads all the same.
    strictly = [] if response_format == "wav" else ["-xerror"]
    run(ffmpeg, "-v", "error", *strictly, *raw, "-i", sound, "-ar", "16000", decoded)
    samples, _ = soundfile.read(decoded)
    assert len(samples) / 16_000 == pytest.approx(3.0, abs=0.15)
    assert np.abs(samples).max() > 0.01


# Only its document is asked for here, so nothing has to stand behind it.
api = schemathesis.openapi.from_dict(create_app(Mock(), Bounds()).openapi())


@api.parametrize()
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
def test_nothing_that_its_document_allows_breaks_it(case: schemathesis.Case, address: str) -> None:
    answer = case.call(base_url=address)
    assert answer.status_code < 500 or answer.status_code == 501, answer.text
    if answer.status_code >= 400:
        assert answer.json()["error"].keys() == {"message", "type", "param", "code", "metadata"}
