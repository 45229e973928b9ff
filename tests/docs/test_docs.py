"""Every command and every example of the documentation works, and every link leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from tests.chart.render import helm
from tests.docs.examples import RUN, SHOWN_ONLY, Example, find_examples, matches, read_commands
from tests.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
RUN_PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
# A folder's own page is for people who work inside it; its links are checked, its commands are not run.
PAGES = [*RUN_PAGES, *sorted(ROOT.glob("[!.]*/**/README.md"))]
PAGES = [page for page in PAGES if "node_modules" not in page.parts]
EXAMPLES = [example for page in RUN_PAGES for example in find_examples(page)]
# What a page may tell a reader to do outside this repository; checked by the first word only.
ELSEWHERE = ("git clone", "cd ", "kubectl ", "skaffold ", "apt-get ", "docker ")


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_every_block_says_what_it_is(example: Example) -> None:
    assert example.language in RUN | SHOWN_ONLY, f"{example}: ```{example.language} is not a kind of block"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.fixture(scope="session")
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where examples run: like a clone as far as they look, and free to be written to."""
    directory = tmp_path_factory.mktemp("docs")
    (directory / "docs").mkdir()
    shutil.copy(ROOT / "docs/hello.flac", directory / "docs/hello.flac")
    shutil.copytree(ROOT / "docs/nano", directory / "docs/nano")
    for name in (
        "Makefile",
        "pyproject.toml",
        "deploy",
        "services",
        "protos",
        "tests",
        "skaffold.yaml",
        "uniaudio",
    ):
        (directory / name).symlink_to(ROOT / name)
    return directory


@pytest.mark.stack
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.language in ("sh", "console")], ids=str)
def test_commands_run(example: Example, stack: Stack, work_dir: Path) -> None:
    for command in read_commands(example):
        if command.text.startswith("make "):
            _check_make(command.text)
        elif command.text.startswith(ELSEWHERE):
            continue
        else:
            output = _run(_here(command.text, stack), stack, work_dir)
            if command.output is not None:
                assert matches(_here(command.output, stack), output), (
                    f"{example}: `{command.text}` printed\n{output}\nthe page shows\n{command.output}"
                )


@pytest.mark.stack
@pytest.mark.parametrize("example", [e for e in EXAMPLES if e.language == "python"], ids=str)
def test_python_runs(example: Example, stack: Stack, work_dir: Path) -> None:
    code = _here(example.body, stack)
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=work_dir,
        env=_environment(stack),
        timeout=100,
        check=True,
    )


def _check_make(command: str) -> None:
    """The target exists; running it would be `make test` inside `make test`."""
    target = command.split()[1]
    assert re.search(rf"^{re.escape(target)}:", (ROOT / "Makefile").read_text(), re.MULTILINE), command


def _here(text: str, stack: Stack) -> str:
    """The default addresses of the documentation become those of the test's stack."""
    return text.replace("127.0.0.1:50051", stack.address).replace("http://127.0.0.1:50081", stack.gateway)


def _run(command: str, stack: Stack, directory: Path) -> str:
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=directory,
        env=_environment(stack),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    assert result.returncode == 0, f"`{command}` ended with {result.returncode}:\n{result.stdout}"
    return result.stdout


def _environment(stack: Stack) -> dict[str, str]:
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    if (tool := shutil.which(helm())) is not None:
        paths.insert(1, str(Path(tool).parent))
    return {**os.environ, **stack.environment, "PATH": os.pathsep.join(paths), "COLUMNS": "100"}


def test_every_direct_dependency_has_a_row() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    required = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *chain(*extras)]
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in required}  # type: ignore[index]
    described = set(re.findall(r"`([^`]+)`", (ROOT / "docs/dependencies.md").read_text()))
    assert names <= described, f"no row for {sorted(names - described)}"
