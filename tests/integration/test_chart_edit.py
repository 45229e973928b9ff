"""The program of `helm test`, before a real gateway and orchestrator, and before a door that answers nonsense."""

from __future__ import annotations

import asyncio
import base64
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.gateway_house import running_gateway
from tests.orchestrator_house import running_house
from uniaudio.audio.encode import wav_header

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "deploy/helm/uniaudio/files/edit.py"
RECORDING = ROOT / "deploy/helm/uniaudio/files/sentence.flac"
SILENCE = wav_header(16_000, 8_000) + bytes(16_000)


async def _run(address: str, words: str = "") -> tuple[int | None, str]:
    """The program's exit code and what it said."""
    environment = {
        "GATEWAY": address,
        "SECONDS_AT_MOST": "20",
        "TOKEN": "a-token",
        "RECORDING": base64.b64encode(RECORDING.read_bytes()).decode(),
        "WORDS": words,
    }
    command = (sys.executable, "-c", PROGRAM.read_text())
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode, said.decode()


async def test_it_edits_a_recording_and_reads_the_result() -> None:
    async with running_house() as house:
        with running_gateway(house.address) as address:
            code, said = await _run(address, "hello world")
            assert (code, said) == (0, "edited: 1.83 s became 2.29 s\nheard: 'hello world'\n")
            code, said = await _run(address, "something else altogether")
    assert code == 1
    assert "'something else altogether' was said" in said


def test_the_recording_is_the_readme_s() -> None:
    assert RECORDING.read_bytes() == (ROOT / "docs/nano/sentence.flac").read_bytes()


@pytest.mark.parametrize(
    ("body", "said"), [(b"hello", "a WAV was to come"), (SILENCE, "a peak of 0")], ids=["text", "silence"]
)
async def test_it_fails_on_any_other_answer(body: bytes, said: str) -> None:
    with _answering(body) as address:
        code, heard = await _run(address)
    assert code == 1
    assert said in heard


@contextmanager
def _answering(body: bytes) -> Iterator[str]:
    """The address of a server that answers every call with the same."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join(10)
