"""A real browser at the studio, before faked services."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.browser import open_studio, running_browser
from tests.fakes_server import FakeServices
from tests.gateway_house import address, fake, services

__all__ = ["address", "fake", "services"]  # fixtures of every test here


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, fake: FakeServices, address: str) -> Iterator[Page]:
    problems: list[str] = []
    yield open_studio(context, address, problems)
    # The browser counts refusals, which some of the tests ask for, as resources that failed to load.
    assert not [problem for problem in problems if "Failed to load resource" not in problem]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _silence(tmp_path_factory.mktemp("recording") / "clip.wav", num_seconds=1)


@pytest.fixture(scope="session")
def long_recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Too long to be heard to its end while a test looks on, however slow the machine."""
    return _silence(tmp_path_factory.mktemp("recording") / "long.wav", num_seconds=60)


def _silence(path: Path, num_seconds: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000 * num_seconds))
    return path
