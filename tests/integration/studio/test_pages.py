"""What holds on every page: keyboard, axe, a phone's width, nothing from elsewhere; the page of health."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.browser import edit, open_studio
from tests.fakes_server import FakeServices
from tests.gateway_house import running_gateway
from uniaudio.errors import InvalidInputError, UnauthenticatedError, UnavailableError
from uniaudio.v1 import speech_pb2

pytestmark = pytest.mark.timeout(240)


def test_tabs_go_by_arrows(page: Page) -> None:
    page.focus("#tab-edit")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#page-speak")).to_be_visible()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#health dd").first).to_have_text("ready")


def test_health_tells_queue_pace_and_traces(browser: Browser, fake: FakeServices) -> None:
    fake.load = speech_pb2.Load(
        num_running=1, num_waiting=2, max_running=4, queue_seconds=0.012, real_time_factor=0.5
    )
    context = browser.new_context()
    with running_gateway(fake.address, traces_url="http://traces.example/") as address:
        page = open_studio(context, address, [])
        page.click("#tab-health")
        health = page.locator("#health")
        for words in ("ready", "1 of 4 at once", "0.012 s", "0.50"):
            expect(health).to_contain_text(words)
        expect(health.get_by_role("link")).to_have_attribute("href", "http://traces.example/")
        fake.failures["GetInfo"] = [UnavailableError("the LLM is away")] * 50
        expect(health).to_contain_text("not ready: the LLM is away")
        context.close()


def test_who_needs_a_token_is_told_where_it_goes(browser: Browser, fake: FakeServices, address: str) -> None:
    fake.failures["GetInfo"] = [UnauthenticatedError("no token came")]
    context = browser.new_context()
    page = open_studio(context, address, [])
    expect(page.locator("#notice")).to_have_text("no token came Enter a token on the page Health.")
    page.click("#tab-health")
    page.fill("#token", "secret-1")
    page.click("text=Use it")
    expect(page.locator("#model")).to_contain_text("fake-model")
    assert fake.metadata["authorization"] == "Bearer secret-1"
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    browser: Browser, address: str, fake: FakeServices, recording: Path, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = open_studio(context, address, [])
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    fake.failures["Edit"] = [InvalidInputError("no", remedy="yes")]
    page.click("#apply")
    expect(page.locator("#failure")).to_be_visible()
    for name in ("edit", "speak", "batch", "health"):
        page.click(f"#tab-{name}")
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        found = Axe().run(page).response["violations"]
        serious = [
            (one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], (name, serious)
    context.close()


def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Browser, address: str, fake: FakeServices, recording: Path
) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = open_studio(context, address, [])
    edit(page, recording)
    expect(page.locator("#outcome")).to_be_visible()
    for name in ("edit", "speak", "batch", "health"):
        page.click(f"#tab-{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, name
    context.close()


def test_nothing_is_loaded_from_elsewhere(browser: Browser, address: str, fake: FakeServices) -> None:
    context = browser.new_context()
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    open_studio(context, address, [])
    context.close()
    assert asked
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)
