"""The page that speaks: heard while it is made; in a registered voice, with its consent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import open_studio
from tests.fakes_server import FakeServices
from tests.fakes_speech import tone
from tests.gateway_house import running_gateway
from tests.orchestrator_house import WAV, running_house
from uniaudio.audio.encode import encode_audio

pytestmark = pytest.mark.timeout(240)


def test_speech_is_heard_while_it_is_made(page: Page, fake: FakeServices) -> None:
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(20)
    page.click("#tab-speak")
    page.fill("#text", "hello")
    page.fill("#say-seed", "7")
    page.click("#speak")
    expect(page.locator("#say-state")).to_contain_text("first sound after")
    go_on.set()
    expect(page.locator("#say-report")).to_contain_text("seed 7")


@pytest.fixture
def registry() -> Iterator[str]:
    """A gateway before the real registry, which lives in a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = running_house()
    house = asyncio.run_coroutine_threadsafe(running.__aenter__(), loop).result(20)
    try:
        with running_gateway(house.address) as address:
            yield address
    finally:
        asyncio.run_coroutine_threadsafe(running.__aexit__(None, None, None), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


def test_a_registered_voice_speaks_moves_and_is_taken_back(
    context: BrowserContext, registry: str, tmp_path: Path
) -> None:
    recording = tmp_path / "ada.wav"
    recording.write_bytes(encode_audio(tone(1.0), WAV))
    page = open_studio(context, registry, [])
    page.click("#tab-speak")
    page.click("text=Add a voice")
    page.fill("#voice-name", "ada")
    page.set_input_files("#voice-file", recording)
    page.fill("#given-by", "Ada Lovelace")
    page.fill("#purpose", "reading letters aloud")
    page.check("#agreed")
    page.click("#add-voice")
    expect(page.locator("#voice")).to_have_value("ada")
    expect(page.locator("#consent")).to_contain_text("Ada Lovelace agreed on")
    expect(page.locator("#consent")).to_contain_text("for: reading letters aloud")
    page.fill("#text", "good day")
    page.click("#speak")
    expect(page.locator("#say-report")).to_contain_text("3.0 s, seed")
    expect(page.locator("#say-report")).not_to_contain_text("without a consent record")

    page.click("#export-voice")
    with page.expect_download() as saved:
        page.click("text=Download the file")
    page.set_input_files("#exported-voice", saved.value.path())
    page.fill("#imported-name", "ada-again")
    page.click("#bring-voice")
    expect(page.locator("#voice")).to_have_value("ada-again")

    page.once("dialog", lambda dialog: dialog.accept())
    page.click("#revoke-voice")
    expect(page.locator("#voice option")).to_have_text(
        ["a voice of the model's own", "ada (consent of Ada Lovelace)"]
    )
