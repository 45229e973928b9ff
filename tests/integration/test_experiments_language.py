"""Experiments on small language models: one command each, from nothing to a report, and on from where it stopped."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from training.experiments import pooling, routing


def run(module: ModuleType, *arguments: str) -> tuple[int, str]:
    command = typer.Typer()
    command.command()(module.main)
    result = CliRunner().invoke(command, list(arguments))
    return result.exit_code, result.stderr


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder, so that both experiments share the speech that the first one makes."""
    return tmp_path_factory.mktemp("experiments")


def test_routing(work: Path, random_checkpoint: Path) -> None:
    (work / "random-model").symlink_to(random_checkpoint)
    code, told = run(routing, "--short", "--work", str(work))
    assert code == 0, told
    page = (work / "reports" / "routing.html").read_text()
    assert "limit 5%" in page
    assert page.count("data:image/png") == 5
    assert "left alone" in page
    code, told = run(routing, "--short", "--work", str(work))
    assert (code, told.count("finished before")) == (0, 2)


def test_pooling(work: Path) -> None:
    code, told = run(pooling, "--short", "--work", str(work))
    assert code == 0, told
    metrics = (work / "runs" / "experiment-pooling-5-short" / "metrics.jsonl").read_text()
    assert '"evaluation/pooling/cost"' in metrics
    assert '"evaluation/signature/costly_pooling": 0.0' in metrics
    page = (work / "reports" / "pooling.html").read_text()
    assert "with five frames a patch against one" in page
    assert "No verdict: neither model transcribes yet" in page
    assert page.count("data:image/png") == 3


def test_a_size_that_is_not_there_is_refused(work: Path) -> None:
    code, told = run(routing, "--size", "huge", "--work", str(work))
    assert (code, "there are debug, nano" in told) == (2, True)
