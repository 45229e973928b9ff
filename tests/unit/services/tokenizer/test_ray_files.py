"""Ray's files: a folder that goes away, an environment that stays inside it, and logs that come out whole."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from services.tokenizer.ray_environment import Front, ray_environment, ray_folder
from services.tokenizer.ray_logs import LogForwarder


@pytest.fixture
def short_tmp(monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a short name, where temporary files go."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_the_folder_is_removed_at_the_end(short_tmp: Path) -> None:
    with ray_folder() as folder:
        (folder / "file").write_text("x")
        assert folder.parent == short_tmp
    assert not folder.exists()


def test_what_a_killed_run_left_is_removed(short_tmp: Path) -> None:
    child = subprocess.Popen(["true"])
    child.wait(timeout=10)
    dead = short_tmp / f"uniaudio-ray-{child.pid}"
    alive = short_tmp / f"uniaudio-ray-{os.getppid()}"
    dead.mkdir()
    alive.mkdir()
    orphan = subprocess.Popen(["sleep", "60"], env={"FOLDER": f"{dead}/x"})
    with ray_folder():
        assert not dead.exists()
        assert alive.exists()
    assert orphan.wait(timeout=10) == -9


def test_only_the_front_leaves_loopback_and_nothing_the_folder(short_tmp: Path) -> None:
    environment = ray_environment(short_tmp, Path("/bin/haproxy"), Front("10.0.0.7", 50061))
    for name, value in environment.items():
        if value.startswith("/"):
            assert Path(value).is_relative_to(short_tmp), name
    wrapper = Path(environment["RAY_SERVE_HAPROXY_BINARY_PATH"])
    config = short_tmp / "haproxy.cfg"
    config.write_text(
        "frontend a\n    bind :9101\n  bind *:8404\n    bind 127.0.0.1:8000\n    bind 127.0.0.1:50061 proto h2\n"
    )
    wrapper.write_text(wrapper.read_text().replace("/bin/haproxy", "/bin/true"))
    subprocess.run([wrapper, "-f", config], check=True, timeout=10)
    assert config.read_text().count("bind 127.0.0.1:") == 3
    assert config.read_text().count("bind 10.0.0.7:50061 proto h2") == 1


def test_replicas_of_two_services_never_share_a_port() -> None:
    """As Ray starts them: on every address, with the text "0" where gRPC wants a number."""
    program = """
import asyncio
import grpc
from grpc.aio._server import Server
from services.tokenizer.ray_environment import listen_on_loopback

def server():
    made = Server(thread_pool=None, generic_handlers=(), interceptors=(), maximum_concurrent_rpcs=None,
        compression=None, options=[("grpc.so_reuseport", "0")])
    return made

async def main():
    await grpc.aio.server().stop(None)  # the usual way, with everything by position
    first = server()
    port = first.add_insecure_port("[::]:0")
    await first.start()
    try:
        server().add_insecure_port(f"[::]:{port}")
    except RuntimeError:
        print("refused")
    await first.stop(None)

listen_on_loopback()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "refused\n"


def test_worker_lines_pass_whole_and_once(tmp_path: Path) -> None:
    logs = tmp_path / "session_1" / "logs"
    logs.mkdir(parents=True)
    (tmp_path / "session_latest").symlink_to(logs.parent)
    file = logs / "worker-a-1.err"
    file.write_text(':job_id:01\n{"event": "one"}\n{"event": "tw')
    stream = io.StringIO()
    forwarder = LogForwarder(tmp_path, stream)
    forwarder.forward()
    with file.open("a") as more:
        more.write('o"}\n')
    forwarder.forward()
    assert stream.getvalue() == '{"event": "one"}\n{"event": "two"}\n'
