"""The commands that store a model and fetch it, on a real MinIO."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.minio_server import MinioServer

URL = "s3://models/nano/v1"


@pytest.fixture
def server(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[MinioServer]:
    server = MinioServer(tmp_path / "minio", free_port())
    server.start()
    server.make_bucket("models")
    yield server
    server.stop()


def _models(environ: Mapping[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "uniaudio.runtime.models", *map(str, arguments)]
    return subprocess.run(
        command, env={**os.environ, **environ}, capture_output=True, text=True, timeout=120, check=False
    )


def test_what_was_stored_is_fetched_linked_and_served_without_the_store(
    server: MinioServer, tmp_path: Path
) -> None:
    checkpoint, at, cache = tmp_path / "checkpoint", tmp_path / "models/checkpoint", tmp_path / "cache"
    checkpoint.mkdir()
    content = {"config.json": b"{}", "model.safetensors": os.urandom(20_000_000)}
    for name, data in content.items():
        (checkpoint / name).write_bytes(data)
    environ = server.environment
    stored = _models(environ, "push", checkpoint, URL)
    assert stored.returncode == 0, stored.stdout + stored.stderr
    fetched = _models(environ, "fetch", URL, at, "--cache", cache)
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    assert {path.name: path.read_bytes() for path in at.iterdir()} == content
    assert '"percent": 100' in fetched.stdout + fetched.stderr
    denied = _models({**environ, "UNIAUDIO_S3_SECRET_KEY": "wrong"}, "fetch", URL, at, "--cache", cache)
    assert denied.returncode == 1
    assert "the secret key is wrong" in denied.stdout + denied.stderr
    missing = _models(environ, "fetch", "s3://models/none", at, "--cache", cache)
    assert missing.returncode == 1
    assert "manifest.json is missing" in missing.stdout + missing.stderr
    assert {path.name: path.read_bytes() for path in at.iterdir()} == content, "a failure takes nothing away"
    server.kill()
    again = _models(environ, "fetch", URL, at, "--cache", cache, "--digest", at.resolve().name)
    assert again.returncode == 0, again.stdout + again.stderr
