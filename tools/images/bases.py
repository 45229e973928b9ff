"""The image that Dockerfiles begin FROM: pulled, or made of Debian's packages where no registry is reached."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.images.buildkit import Build, BuildKit
from tools.images.programs import ImagesError, cache, installed, run

_PULL_SECONDS = 60.0
_SUITE = "bookworm"
# What python:3.11-slim has and the Dockerfiles use.
_PACKAGES = ("ca-certificates", "libpython3.11", "python-is-python3", "python3", "python3-venv")
_LEFT_OUT = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*")
_DOCKERFILE = """FROM scratch
ADD rootfs.tar /
ENV LANG=C.UTF-8
CMD ["python3"]
"""
_RECIPE = hashlib.sha256(repr((_SUITE, _PACKAGES, _LEFT_OUT, _DOCKERFILE)).encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Base:
    """`name` as FROM has it; `layout` is what stands for it, None where it is pulled."""

    name: str
    layout: Path | None

    @property
    def told(self) -> str:
        """What an image says that it stands on."""
        return self.name if self.layout is None else f"debian:{_SUITE} with python3"


def find_base(dockerfile: Path, buildkit: BuildKit, say: Callable[[str], None]) -> Base:
    """The base that the Dockerfile names, or one of the same contents."""
    match = re.search(r"^ARG BASE=(\S+)$", dockerfile.read_text(), re.MULTILINE)
    if match is None:
        raise ImagesError(f"{dockerfile} does not begin with ARG BASE=")
    if _is_pullable(match[1], buildkit):
        return Base(match[1], None)
    say(f"{match[1]} cannot be pulled: a base of Debian's packages stands for it")
    return Base(match[1], _made(buildkit))


def _is_pullable(name: str, buildkit: BuildKit) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        dockerfile = Path(folder) / "Dockerfile"
        dockerfile.write_text(f"FROM {name}\n")
        try:
            buildkit.build(Build(context=Path(folder), dockerfile=dockerfile), seconds=_PULL_SECONDS)
        except ImagesError:
            return False
    return True


def _made(buildkit: BuildKit) -> Path:
    layout = cache() / f"base-{_SUITE}-{_RECIPE}"
    if layout.is_dir():
        return layout
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        made = Path(folder)
        command: list[str | Path] = [
            installed("mmdebstrap"),
            "--variant=minbase",
            f"--include={','.join(_PACKAGES)}",
        ]
        command += [f"--dpkgopt=path-exclude={path}" for path in _LEFT_OUT]
        command += ["--dpkgopt=path-include=/usr/share/doc/*/copyright"]
        run([*command, _SUITE, made / "rootfs.tar"])
        (made / "Dockerfile").write_text(_DOCKERFILE)
        output = f"type=oci,tar=false,dest={made / 'layout'}"
        buildkit.build(Build(context=made, dockerfile=made / "Dockerfile", output=output))
        shutil.move(made / "layout", layout)
    return layout
