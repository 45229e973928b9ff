"""A BuildKit of our own for as long as it is needed; what it has built it keeps in the user's cache."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tools.images.programs import ImagesError, built, cache, installed, run

_MODULE = "github.com/moby/buildkit"
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_KEPT_MEGABYTES = 8_000


@dataclass(frozen=True, kw_only=True)
class Build:
    """One build: a folder, its Dockerfile, and where the image goes (BuildKit's `--output`)."""

    context: Path
    dockerfile: Path
    output: str | None = None
    arguments: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    bases: Mapping[str, Path] = field(default_factory=dict)
    """OCI layouts of one image each that stand for names in FROM."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Each is `src=FILE` or `env=NAME` of this machine."""


class BuildKit:
    """A running one, by its address and the program that asks it."""

    def __init__(self, address: str, buildctl: Path) -> None:
        self._command = (buildctl, "--addr", address)

    def build(self, build: Build, *, seconds: float = 3600.0) -> None:
        """Builds it; raises ImagesError with the end of the log."""
        command: list[str | Path] = [*self._command, "build", "--progress=plain", "--frontend=dockerfile.v0"]
        command += [f"--local=context={build.context}", f"--local=dockerfile={build.dockerfile.parent}"]
        options = {"filename": build.dockerfile.name}
        options |= {f"build-arg:{name}": value for name, value in build.arguments.items()}
        options |= {f"label:{name}": value for name, value in build.labels.items()}
        for number, (name, layout) in enumerate(build.bases.items()):
            options[f"context:{name}"] = f"oci-layout://base{number}@{only_digest(layout)}"
            command.append(f"--oci-layout=base{number}={layout}")
        command += [f"--opt={name}={value}" for name, value in options.items()]
        command += [f"--secret=id={name},{source}" for name, source in build.secrets.items()]
        command += [] if build.output is None else [f"--output={build.output}"]
        run(command, seconds=seconds)

    def is_ready(self) -> bool:
        try:
            run([*self._command, "debug", "workers"], seconds=_START_SECONDS)
        except ImagesError:
            return False
        return True


def only_digest(layout: Path) -> str:
    """The digest of the one image in an OCI layout."""
    (manifest,) = json.loads((layout / "index.json").read_text())["manifests"]
    return str(manifest["digest"])


@contextmanager
def own_buildkit() -> Iterator[BuildKit]:
    """Starts one as root of this machine and ends it; steps of a build use this machine's network."""
    if os.geteuid() != 0:
        raise ImagesError("BuildKit needs root here: run this as root, or install Docker with buildx")
    installed("runc")
    state = cache() / "buildkit"
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="uniaudio-images-") as folder:
        address = f"unix://{folder}/buildkitd.sock"
        command: list[str | Path] = [
            built("buildkitd", "buildkit", _MODULE),
            f"--root={state}",
            f"--addr={address}",
        ]
        command += ["--containerd-worker=false", "--oci-worker=true", "--oci-worker-net=host"]
        command += ["--oci-worker-gc=true", f"--oci-worker-gc-keepstorage={_KEPT_MEGABYTES}"]
        log = state / "log"
        with log.open("w") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            yield _started(BuildKit(address, built("buildctl", "buildkit", _MODULE)), process, log)
        finally:
            _stop(process)


def _started(buildkit: BuildKit, process: subprocess.Popen[bytes], log: Path) -> BuildKit:
    deadline = time.monotonic() + _START_SECONDS
    while not buildkit.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise ImagesError(f"buildkitd did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
    return buildkit


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(_STOP_SECONDS)
