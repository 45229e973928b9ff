"""Each image installs one extra: it must bring everything that its service imports."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Provided by Triton inside its own process.
PROVIDED = {"triton_python_backend_utils"}


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("uniaudio", "services", "training", include_external_packages=True)


def _externals(packages: Iterable[str]) -> dict[str, str]:
    """Outside packages that loading `packages` may bring about, each with one module that imports it."""
    graph = _graph()
    waiting = [module for package in packages for module in (package, *graph.find_descendants(package))]
    seen: set[str] = set()
    found: dict[str, str] = {}
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        for imported in graph.find_modules_directly_imported_by(module):
            if not graph.is_module_squashed(imported):
                waiting.append(imported)
            elif imported.split(".")[0] not in sys.stdlib_module_names | PROVIDED:
                found.setdefault(imported, module)
    return found


def _installed(requirements: Iterable[str]) -> set[str]:
    """Names of all distributions that the requirements bring."""
    waiting = [Requirement(requirement) for requirement in requirements]
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        name = _normal(requirement.name)
        for text in (
            metadata.requires(requirement.name) or [] if name not in seen or requirement.extras else []
        ):
            further = Requirement(text)
            extras = requirement.extras or {""}
            if further.marker is None or any(further.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(further)
        seen.add(name)
    return seen


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("extra", "package"),
    [
        ("tokenizer", "services.tokenizer"),
        ("llm", "services.llm"),
        ("orchestrator", "services.orchestrator"),
        ("cluster", "uniaudio.cluster"),
    ],
)
def test_an_extra_brings_what_needs_it(extra: str, package: str) -> None:
    installed = _installed([*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]])
    distributions = metadata.packages_distributions()
    missing = {
        imported: importer
        for imported, importer in _externals([package]).items()
        if not {_normal(name) for name in distributions.get(imported.split(".")[0], [])} & installed
    }
    assert not missing, f"the extra {extra} lacks what these modules import: {missing}"


def test_a_client_needs_no_extra() -> None:
    installed = _installed(PROJECT["dependencies"])
    distributions = metadata.packages_distributions()
    for package, importer in _externals(["uniaudio.client"]).items():
        names = {_normal(name) for name in distributions.get(package.split(".")[0], [])}
        assert names & installed, f"{importer} imports {package}"
