"""The page that edits, in a real browser before faked services: edits, undo, refusals, cancels, reloads, two tabs."""

from __future__ import annotations

import io
import re
import threading
import wave
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import edit, open_studio, wait_until_ready
from tests.fakes_server import FakeServices
from uniaudio.errors import InvalidInputError, QueueFullError

pytestmark = pytest.mark.timeout(240)


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


def test_what_changed_is_marked_in_sound_and_words(page: Page, fake: FakeServices, recording: Path) -> None:
    fake.edited.transcript_before, fake.edited.transcript_after = "the red door", "the green door"
    changed = fake.edited.ranges.add()
    changed.source.start_seconds, changed.source.end_seconds = 0.2, 0.5
    changed.result.start_seconds, changed.result.end_seconds = 0.05, 0.1
    edit(page, recording, "replace “red” with “green”")
    for track in ("before", "after"):
        expect(page.locator(f"#wave-{track} [part~=region]")).to_have_count(1)
    expect(page.locator("#difference del")).to_have_text("red")
    expect(page.locator("#difference ins")).to_have_text("green")


def test_a_recording_is_dropped_and_an_example_picked(page: Page, recording: Path) -> None:
    dropped = page.evaluate_handle(
        """bytes => {
            const dropped = new DataTransfer();
            dropped.items.add(new File([new Uint8Array(bytes)], "dropped.wav", { type: "audio/wav" }));
            return dropped;
        }""",
        list(recording.read_bytes()),
    )
    page.dispatch_event("#drop", "drop", {"dataTransfer": dropped})
    expect(page.locator("#versions li")).to_have_text("dropped.wav")
    page.locator("#examples").get_by_text("make it 6 dB louder").click()
    expect(page.locator("#instruction")).to_have_value("make it 6 dB louder")


def test_an_edit_follows_the_version_that_it_began_with(
    page: Page, fake: FakeServices, recording: Path
) -> None:
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    go_on = threading.Event()
    fake.wait_after_first_piece = lambda _context: go_on.wait(20)
    page.fill("#instruction", "make it louder")
    page.click("#apply")
    expect(page.locator("#reasoning")).to_have_text("hello there")
    page.click("#undo")
    go_on.set()
    expect(page.locator("#versions li")).to_have_text(["clip.wav", "make it twice as fast", "make it louder"])
    expect(page.locator("#versions [aria-current]")).to_have_text("make it louder")


def test_keys_play_swap_and_move(page: Page, long_recording: Path) -> None:
    edit(page, long_recording)
    expect(page.locator("#outcome")).to_be_visible()
    expect(page.locator("#swap")).to_be_enabled()
    page.locator("#versions").click(position={"x": 300, "y": 5})  # nothing that takes keys has the focus
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("b")
    expect(page.locator("#swap")).to_have_text("Hear after")
    page.keyboard.press("Space")
    expect(page.locator("#clock")).not_to_have_text(re.compile(r"^0\.0 s"))
    page.keyboard.press("Space")
    expect(page.locator("#play")).to_have_text("Play")
    clock = page.locator("#clock")
    while not clock.inner_text().startswith("0.0 s"):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    expect(clock).to_have_text("1.0 s of 60.0 s")
    page.keyboard.press("ArrowLeft")
    expect(clock).to_have_text("0.0 s of 60.0 s")


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
    page: Page, context: BrowserContext, address: str, recording: Path
) -> None:
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    other = open_studio(context, address, [])
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
