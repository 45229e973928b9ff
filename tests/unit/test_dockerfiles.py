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
WITH_MODEL = ("llm", "tokenizer", "training")
STAGES = ("FROM ${BASE} AS installer", "FROM ${BASE} AS packages", "FROM ${BASE} AS build", "FROM packages")
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
    bases = {_stages(name)[0][0] for name in FILES}
    (base,) = bases
    assert re.fullmatch(r"ARG BASE=python:3\.11\.\d+-slim-[a-z]+@sha256:[0-9a-f]{64}", base)
    for name in FILES:
        assert tuple(stage[0] for stage in _stages(name)[1:]) == STAGES


@pytest.mark.parametrize("name", FILES)
def test_nothing_but_the_base_is_pulled(name: str) -> None:
    text = FILES[name].read_text()
    assert "syntax=" not in text, "it would pull a frontend that no digest pins"
    sources = re.findall(r"[-]-(?:mount=)?from=([\w.-]+)", text)
    assert set(sources) <= {"installer", "packages", "build"}


def _installs(name: str) -> list[str]:
    """The steps that make the layers of packages."""
    return [line for line in _stages(name)[2] if "uv pip install" in line]


def _lists(name: str) -> dict[str, str]:
    """What each list of packages is exported from the lock with, by its name."""
    (exporting,) = [line for line in _stages(name)[1] if "uv export" in line]
    return {found[2]: found[1] for found in re.finditer(r"\$\{export\}(.*?) -o (\w+)\.txt", exporting)}


def test_images_begin_with_the_same_layers() -> None:
    layers = {name: tuple(_stages(name)[2][:-1]) for name in FILES}
    with_model = {layers[name] for name in WITH_MODEL}
    without = {lines for name, lines in layers.items() if name not in WITH_MODEL}
    assert len(with_model) == len(without) == 1
    (longer,), (shorter,) = with_model, without
    assert longer[: len(shorter)] == shorter
    for name in FILES:
        read = [re.findall(r"source=/locks/(\w+)\.txt", line) for line in _installs(name)]
        assert read == ([["wire"], ["model"], [name]] if name in WITH_MODEL else [["wire"], [name]])


@pytest.mark.parametrize("name", FILES)
def test_no_compiler_is_left_inside(name: str) -> None:
    _, _, packages, build, final = _stages(name)
    installed = " ".join(line for line in packages + final if "apt-get" in line)
    assert not _COMPILERS.search(installed.replace("apt-get install", ""))
    installing = [line for line in packages + final if re.search(r"\b(uv|pip) ", line)]
    assert all("--mount=from=installer" in line for line in installing), "it lends itself and stays outside"
    with_kernels = any("uniaudio.nn.native.prebuilt" in line for line in build)
    assert with_kernels is (name in WITH_MODEL), "what computes brings its kernels"


@pytest.mark.parametrize("name", WITH_MODEL)
def test_the_variant_says_what_is_left_out(name: str) -> None:
    (exporting,) = [line for line in _stages(name)[1] if "uv export" in line]
    assert exporting.startswith('RUN left_out=$(cat "${VARIANT}.args") &&'), "an unknown variant fails"
    assert all("${left_out}" in _lists(name)[extra] for extra in ("model", name))


def test_a_variant_for_gpus_leaves_nothing_out_and_one_for_cpus_what_the_lock_names() -> None:
    locked = {package["name"] for package in tomllib.loads((ROOT / "uv.lock").read_text())["package"]}
    left_out = (ROOT / "tools/images/cpu.args").read_text().splitlines()
    assert {line.removeprefix("--no-emit-package ") for line in left_out} <= locked
    assert not (ROOT / "tools/images/gpu.args").read_text()


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
    (exporting,) = [line for line in _stages(name)[1] if "uv export" in line]
    assert "uv export --frozen --no-dev --no-emit-project" in exporting
    assert all("--require-hashes" in line for line in _installs(name))
    extras = {found: re.findall(r"--extra (\w+)", options) for found, options in _lists(name).items()}
    expected = {"wire": [], name: [name]} | ({"model": ["model"]} if name in WITH_MODEL else {})
    assert extras == expected
    assert name in PROJECT["optional-dependencies"]


def test_the_layer_with_the_model_fits_all_that_have_it() -> None:
    extras = PROJECT["optional-dependencies"]
    assert all(set(extras["model"]) <= set(extras[name]) for name in WITH_MODEL)


@pytest.mark.parametrize("name", FILES)
def test_what_it_copies_is_let_into_the_build(name: str) -> None:
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in (line for stage in _stages(name) for line in stage if line.startswith("COPY ")):
        for source in (word for word in line.split()[1:-1] if "--from=" not in line):
            assert list(ROOT.glob(source)), source
            assert any(fnmatch(source, pattern) or source.startswith(f"{pattern}/") for pattern in allowed), (
                f"{source} is left out by .dockerignore"
            )


def test_images_are_built_with_what_is_inside_and_where_it_came_from() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ndocker-images:")[2].partition("\n\n")[0]
    assert "services/*/Dockerfile training/Dockerfile" in recipe
    assert "--sbom=true" in recipe
    assert "--provenance=mode=max" in recipe
