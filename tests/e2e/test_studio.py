"""A person's way through the studio on the whole stack: upload, edit, listen, batch, health; pictures for the README.

UNIAUDIO_SCREENSHOTS=docs/studio keeps the pictures there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import open_studio, running_browser
from tests.stack import Stack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

SLOW_MS = 60_000


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Page]:
    problems: list[str] = []
    with running_browser() as browser:
        yield open_studio(
            browser.new_context(viewport={"width": 1100, "height": 800}), stack.gateway, problems
        )
    # The browser counts refusals, which one of the tests asks for, as resources that failed to load.
    assert [problem for problem in problems if "Failed to load resource" not in problem] == []


def keep(page: Page, name: str) -> None:
    """A picture of the whole page, where somebody wants them."""
    if folder := os.environ.get("UNIAUDIO_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def test_upload_edit_and_listen(page: Page, root: Path) -> None:
    page.set_input_files("#file", root / "docs/hello.flac")
    page.fill("#instruction", "make it 1.5 times faster")
    page.check("#spectrogram")
    page.click("#apply")
    expect(page.locator("#outcome")).to_be_visible(timeout=SLOW_MS)
    expect(page.locator("#checks .passed")).to_have_count(2)
    page.click("#play")
    expect(page.locator("#clock")).to_have_text(re.compile(r"^[1-9]\.\d s"))  # it really plays
    page.click("#play")


def test_chain_and_undo(page: Page) -> None:
    page.fill("#instruction", "make it 6 dB quieter")
    page.click("#apply")
    expect(page.locator("#versions li")).to_have_count(3, timeout=SLOW_MS)
    page.click("#undo")
    expect(page.locator("#versions [aria-current]")).to_have_text("make it 1.5 times faster")


def test_what_cannot_be_done_is_told(page: Page) -> None:
    page.locator("#engine").evaluate("element => element.closest('details').open = true")
    page.select_option("#engine", "exact")
    page.fill("#instruction", "make it sound happy")
    page.click("#apply")
    expect(page.locator("#failure")).to_be_visible(timeout=SLOW_MS)


def test_words_are_edited(page: Page, root: Path) -> None:
    page.set_input_files("#file", root / "docs/nano/sentence.flac")
    page.select_option("#engine", "auto")
    page.fill("#seed", "4")
    page.fill("#instruction", "delete 'lost'")
    page.click("#apply")
    expect(page.locator("#versions li")).to_have_count(2, timeout=SLOW_MS)
    expect(page.locator("#checks .passed")).to_have_count(1)
    page.click("#play")
    page.wait_for_timeout(700)
    page.click("#play")
    keep(page, "edit")


def test_speak(page: Page) -> None:
    page.click("#tab-speak")
    page.fill("#text", "there were fifteen poor streets in our school")
    page.fill("#say-seed", "1")
    page.click("#speak")
    expect(page.locator("#spoken")).to_be_visible(timeout=SLOW_MS)
    expect(page.locator("#say-report")).to_contain_text("seed 1.")
    keep(page, "speak")


def test_batch(page: Page, root: Path) -> None:
    page.click("#tab-batch")
    page.set_input_files("#files", root / "docs/hello.flac")
    page.fill("#instructions", "make it twice as fast\nmake it 6 dB quieter")
    page.click("#send")
    expect(page.locator("#jobs .state").first).to_have_text("succeeded", timeout=SLOW_MS)
    page.locator("#jobs").get_by_text("Fetch the audio").first.click()
    expect(page.locator("#jobs audio")).to_be_visible()
    keep(page, "batch")


def test_health(page: Page) -> None:
    page.click("#tab-health")
    expect(page.locator("#health dd").first).to_have_text("ready")
    keep(page, "health")
