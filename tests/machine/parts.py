"""Images of what a trial brings along, made of this machine's own programs: PostgreSQL, Redis and MinIO."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.machine.images import ProgramImage, libraries
from tests.machine.programs import ROOT
from tests.postgres_server import postgres_programs

MINIO = ProgramImage("uniaudio/minio:1", ROOT / ".tools/bin/minio", "/minio")
_SHELL = Path("/bin/sh")
_PATH = "PATH=/usr/bin:/bin"


def trial_images() -> dict[str, ProgramImage]:
    """One for each part, by its name in the chart; the test is skipped where a program is not installed."""
    return {"postgresql": _postgresql(), "redis": _redis(), "minio": MINIO}


def _postgresql() -> ProgramImage:
    """As the official one for Alpine: the same variables, the same user."""
    folder = postgres_programs()
    programs = (
        _SHELL,
        *_found("mv", "rm"),
        *(folder / name for name in ("initdb", "postgres", "pg_isready")),
    )
    modules = [path for path in folder.parent.glob("lib/*.so") if not path.name.startswith("llvmjit")]
    shared = (Path("/usr/share/postgresql") / folder.parent.name, Path("/usr/share/zoneinfo"))
    return ProgramImage(
        "uniaudio/postgresql:1",
        Path(__file__).parent / "postgresql.sh",
        "/entrypoint",
        beside=(*programs, *libraries(*programs), *sorted(modules), *shared),
        environment=(f"{_PATH}:{folder}",),
        user=70,
        stop_signal="SIGINT",  # at the other one it waits for its clients
    )


def _redis() -> ProgramImage:
    """As the official one: its arguments are a command."""
    env, *programs = _found("env", "redis-server", "redis-cli", "grep")
    return ProgramImage(
        "uniaudio/redis:1",
        env,
        "/usr/bin/env",
        ("redis-server",),
        beside=(_SHELL, *programs, *libraries(env, _SHELL, *programs)),
        environment=(_PATH,),
        user=999,
    )


def _found(*names: str) -> tuple[Path, ...]:
    found = {name: shutil.which(name) for name in names}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: apt-get install redis-server")
    return tuple(Path(path) for path in found.values() if path is not None)
