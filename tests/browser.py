"""A real browser for tests of the studio: Debian's Chromium through Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from services.gateway.pages import STUDIO

# Tests run as root in CI; the microphone is a tone of Chromium's own.
_ARGUMENTS = [
    "--no-sandbox",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
WAIT_MS = 30_000


def chromium() -> str:
    """Where Chromium is; skips where it, or the studio's waveform component, is missing."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium")
    if not (STUDIO / "vendor/wavesurfer.esm.js").is_file():
        pytest.skip("the studio's waveform component is not here: python tools/fetch_assets.py")
    return found


@contextmanager
def running_browser() -> Iterator[Browser]:
    """Chromium without a window; what is expected of its pages may take as long as anything else there."""
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=_ARGUMENTS)
        yield browser
        browser.close()


def open_studio(context: BrowserContext, address: str, problems: list[str]) -> Page:
    """The studio in a tab; what the page complains of goes to `problems`."""
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto(f"{address}/")
    wait_until_ready(page)
    return page


def wait_until_ready(page: Page) -> None:
    """Returns once the studio's scripts have started every page."""
    page.locator("html[data-ready=true]").wait_for(state="attached")


def edit(page: Page, recording: Path, instruction: str = "make it twice as fast") -> None:
    """Chooses a recording and asks for an edit, which may be waited for."""
    page.set_input_files("#file", recording)
    expect(page.locator("#work")).to_be_visible()
    page.fill("#instruction", instruction)
    page.click("#apply")
