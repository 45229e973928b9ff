"""The studio in a real browser before faked services: what goes wrong, what is cancelled, reloads, two tabs."""

from __future__ import annotations

import io
import re
import threading
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser import open_studio, running_browser, wait_until_ready
from tests.fakes_server import FakeServices, serve
from tests.gateway_house import running_gateway
from uniaudio.errors import InvalidInputError, QueueFullError

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def house() -> Iterator[tuple[FakeServices, str]]:
    with serve(FakeServices()) as fake, running_gateway(fake.address) as address:
        yield fake, address


@pytest.fixture
def fake(house: tuple[FakeServices, str]) -> FakeServices:
    house[0].forget()
    return house[0]


@pytest.fixture
def context(browser: Browser, fake: FakeServices) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, house: tuple[FakeServices, str]) -> Iterator[Page]:
    problems: list[str] = []
    yield open_studio(context, house[1], problems)
    assert not [problem for problem in problems if "Failed to load resource" not in problem]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recording") / "clip.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    return path


def edit(page: Page, recording: Path, instruction: str = "make it twice as fast") -> None:
    page.set_input_files("#file", recording)
    expect(page.locator("#work")).to_be_visible()
    page.fill("#instruction", instruction)
    page.click("#apply")


def test_an_edit_is_shown_played_and_undone(page: Page, fake: FakeServices, recording: Path) -> None:
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("Twice as fast, same pitch.")
    expect(page.locator("#checks tbody tr")).to_have_count(1)
    expect(page.locator("#versions li")).to_have_count(2)
    expect(page.locator("#track-after")).to_be_visible()
    with page.expect_download() as saved:
        page.click("text=Download the audio")
    with wave.open(io.BytesIO(Path(saved.value.path()).read_bytes())) as file:
        assert file.getnframes() == 3200  # the true length, not the open one of the stream
    page.click("#play")
    expect(page.locator("#clock")).not_to_have_text(re.compile(r"^0\.0 s"))
    page.click("#undo")
    expect(page.locator("#outcome")).to_be_hidden()
    expect(page.locator("#track-after")).to_be_hidden()


def test_keys_play_and_swap(page: Page, recording: Path) -> None:
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    page.locator("#versions").click(position={"x": 300, "y": 5})  # nothing that takes keys has the focus
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("b")
    expect(page.locator("#swap")).to_have_text("Hear after")
    page.keyboard.press("Space")
    expect(page.locator("#clock")).not_to_have_text(re.compile(r"^0\.0 s"))
    page.keyboard.press("Space")


def test_a_refusal_is_told_with_its_remedy(page: Page, fake: FakeServices, recording: Path) -> None:
    fake.failures["Edit"] = [
        InvalidInputError(
            "there is no word “blue” in it", field="instruction", remedy="name a word that is there"
        )
    ]
    edit(page, recording, "delete the word blue")
    expect(page.locator("#failure")).to_contain_text("there is no word “blue” in it")
    expect(page.locator("#failure")).to_contain_text("Name a word that is there.")
    expect(page.locator("#versions li")).to_have_count(1)
    page.click("#apply")
    expect(page.locator("#outcome")).to_be_visible()
    expect(page.locator("#failure")).to_be_hidden()


def test_a_busy_service_is_told(page: Page, fake: FakeServices, recording: Path) -> None:
    fake.failures["Edit"] = [QueueFullError("32 requests wait already", remedy="try again later")]
    edit(page, recording)
    expect(page.locator("#failure")).to_contain_text("32 requests wait already")


def test_what_is_no_recording_is_told_before_it_is_sent(
    page: Page, fake: FakeServices, tmp_path: Path
) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("no sound")
    page.set_input_files("#file", path)
    expect(page.locator("#failure")).to_contain_text("notes.wav is no recording that this browser can read.")
    assert all(type(request).__name__ != "EditRequest" for request in fake.requests)


def test_cancel_ends_the_work_and_changes_nothing(page: Page, fake: FakeServices, recording: Path) -> None:
    fake.wait_after_first_piece = lambda _context: fake.cancelled.wait(20)
    edit(page, recording)
    expect(page.locator("#reasoning")).to_have_text("hello there")
    page.click("#cancel")
    expect(page.locator("#failure")).to_contain_text("Cancelled")
    assert fake.cancelled.wait(10)
    expect(page.locator("#versions li")).to_have_count(1)


def test_a_reload_keeps_versions_and_tells_what_it_ended(
    page: Page, fake: FakeServices, recording: Path
) -> None:
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    fake.cancelled.clear()  # the end of the first call set it
    fake.wait_after_first_piece = lambda _context: fake.cancelled.wait(20)
    page.fill("#instruction", "make it louder")
    page.click("#apply")
    expect(page.locator("#reasoning")).to_have_text("hello there")
    page.reload()
    wait_until_ready(page)
    expect(page.locator("#failure")).to_contain_text("The page was left while an edit was running")
    expect(page.locator("#versions li")).to_have_count(2)
    expect(page.locator("#instruction")).to_have_value("make it louder")
    assert fake.cancelled.wait(10)
    fake.wait_after_first_piece = None
    page.click("#apply")
    expect(page.locator("#versions li")).to_have_count(3)


def test_two_tabs_have_their_own_versions(
    page: Page, context: BrowserContext, house: tuple[FakeServices, str], recording: Path
) -> None:
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    other = open_studio(context, house[1], [])
    expect(other.locator("#work")).to_be_hidden()
    edit(other, recording, "make it louder")
    expect(other.locator("#versions li").nth(1)).to_have_text("make it louder")
    page.reload()
    expect(page.locator("#versions li").nth(1)).to_have_text("make it twice as fast")


def test_a_microphone_is_recorded(page: Page, fake: FakeServices) -> None:
    page.click("#record")
    expect(page.locator("#record")).to_have_text("Stop recording")
    page.wait_for_timeout(700)
    page.click("#record")
    expect(page.locator("#versions li")).to_have_text("recording.wav")
    page.fill("#instruction", "make it louder")
    page.click("#apply")
    expect(page.locator("#outcome")).to_be_visible()
    assert next(r for r in fake.requests if hasattr(r, "instruction")).audio.content[:4] == b"RIFF"


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


def test_a_transcript_grows_while_it_is_written(page: Page, fake: FakeServices, recording: Path) -> None:
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(20)
    page.set_input_files("#file", recording)
    page.click("#transcribe")
    expect(page.locator("#heard")).to_have_text("“hello”")
    expect(page.locator("#heard")).to_have_attribute("aria-busy", "true")
    go_on.set()
    expect(page.locator("#heard")).to_have_text("“hello there”")
    expect(page.locator("#heard")).not_to_have_attribute("aria-busy", "true")


def test_tabs_go_by_arrows(page: Page) -> None:
    page.focus("#tab-edit")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#page-speak")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#health dd").first).to_have_text("ready")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Browser, house: tuple[FakeServices, str], fake: FakeServices, recording: Path, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = open_studio(context, house[1], [])
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    fake.failures["Edit"] = [InvalidInputError("no", remedy="yes")]
    page.click("#apply")
    expect(page.locator("#failure")).to_be_visible()
    for name in ("edit", "speak", "batch", "health"):
        page.click(f"#tab-{name}")
        found = Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], (name, serious)
    context.close()


def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Browser, house: tuple[FakeServices, str], fake: FakeServices, recording: Path
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = open_studio(context, house[1], [])
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    for name in ("edit", "speak", "batch", "health"):
        page.click(f"#tab-{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    context.close()


def test_nothing_is_loaded_from_elsewhere(
    browser: Browser, house: tuple[FakeServices, str], fake: FakeServices
) -> None:
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    open_studio(context, house[1], [])
    context.close()
    assert asked
    assert all(url.startswith((house[1], "blob:", "data:")) for url in asked)
