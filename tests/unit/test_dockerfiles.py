"""What the images are made of, as far as their Dockerfiles tell; nothing is built here."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = {
    path.parent.name: path
    for path in sorted([*ROOT.glob("services/*/Dockerfile"), ROOT / "training/Dockerfile"])
}
LABELS = ("title", "description", "licenses", "version", "revision", "base.name")
_COMPILERS = re.compile(r"\b(g\+\+|gcc|cc|clang|make|build-essential|[a-z0-9.+-]+-dev)\b")


def _stages(name: str) -> list[list[str]]:
    """The instructions of each stage, those before the first one ahead of them; continued lines joined."""
    text = re.sub(r"^#.*\n", "", FILES[name].read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: list[list[str]] = [[]]
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.startswith("FROM "):
            stages.append([])
        stages[-1].append(line)
    return stages


def test_there_is_one_for_each_service_and_for_training() -> None:
    services = {path.parent.name for path in ROOT.glob("services/*/__main__.py")}
    assert FILES.keys() == services | {"training"}


def test_all_stand_on_one_base_pinned_by_digest() -> None:
    bases = {line for name in FILES for line in _stages(name)[0]}
    (base,) = bases
    assert re.fullmatch(r"ARG BASE=python:3\.11\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    for name in FILES:
        _, build, final = _stages(name)
        assert (build[0], final[0]) == ("FROM ${BASE} AS build", "FROM ${BASE}")


@pytest.mark.parametrize("name", FILES)
def test_no_compiler_is_left_inside(name: str) -> None:
    _, build, final = _stages(name)
    installed = " ".join(line for line in final if "apt-get" in line)
    assert not _COMPILERS.search(installed.replace("apt-get install", ""))
    assert not [line for line in final if "pip " in line or "uv " in line]
    with_kernels = any("uniaudio.nn.native.prebuilt" in line for line in build)
    assert with_kernels is (name in ("llm", "tokenizer", "training")), "what computes brings its kernels"


@pytest.mark.parametrize("name", FILES)
def test_it_runs_as_a_number_that_is_not_root(name: str) -> None:
    users = [line for line in _stages(name)[-1] if line.startswith("USER ")]
    assert users == ["USER 10001:10001"]


@pytest.mark.parametrize("name", FILES)
def test_it_says_what_it_is(name: str) -> None:
    final = _stages(name)[-1]
    (labels,) = [line for line in final if line.startswith("LABEL ")]
    said = dict(re.findall(r'org\.opencontainers\.image\.([a-z.]+)="([^"]*)"', labels))
    assert said.keys() == set(LABELS)
    assert said["title"] == f"uniaudio/{name}"
    assert said["licenses"] == PROJECT["license"]
    assert (said["version"], said["revision"]) == ("${VERSION}", "${REVISION}")
    assert f"ARG VERSION={PROJECT['version']}" in final


@pytest.mark.parametrize("name", FILES)
def test_it_installs_the_extra_of_its_name_from_the_lock(name: str) -> None:
    _, build, _ = _stages(name)
    syncs = [line for line in build if "uv sync" in line]
    assert len(syncs) == 2
    assert all("--frozen --no-dev" in line and line.endswith(f"--extra {name}") for line in syncs)
    assert name in PROJECT["optional-dependencies"]


@pytest.mark.parametrize("name", FILES)
def test_what_it_copies_is_let_into_the_build(name: str) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in (line for line in _stages(name)[1] if line.startswith("COPY ")):
        for source in line.split()[1:-1]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, pattern) for pattern in allowed), (
                f"{source} is left out by .dockerignore"
            )


def test_images_are_built_with_what_is_inside_and_where_it_came_from() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\nimages:")[2].partition("\n\n")[0]
    assert "services/*/Dockerfile training/Dockerfile" in recipe
    assert "--sbom=true" in recipe
    assert "--provenance=mode=max" in recipe
