"""The page of many, before the real job servicer: states as they change, players that stay, reloads, failures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from services.orchestrator.jobs.model import State
from tests.browser import open_studio
from tests.fakes_jobs import FakeJobs, served_jobs
from tests.gateway_house import running_gateway
from uniaudio.errors import StoreError

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def jobs() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def page(jobs: FakeJobs, context: BrowserContext) -> Iterator[Page]:
    with served_jobs(jobs) as (_, services), running_gateway(services) as address:
        page = open_studio(context, address, [])
        page.click("#tab-batch")
        yield page
        context.close()


def send(page: Page, recording: Path, instructions: str = "make it faster\nmake it louder") -> None:
    page.set_input_files("#files", recording)
    page.fill("#instructions", instructions)
    page.click("#send")


def test_states_change_while_players_stay(page: Page, jobs: FakeJobs, recording: Path) -> None:
    expect(page.locator("#no-jobs")).to_be_visible()
    send(page, recording)
    states = page.locator("#jobs .state")
    expect(states).to_have_text(["queued", "queued", "queued"])
    (job_id,) = jobs.jobs
    jobs.finish(job_id, 0)
    expect(states).to_have_text(["running", "succeeded", "queued"])
    page.click("text=Fetch the audio")
    expect(page.locator("#jobs audio")).to_be_visible()
    jobs.finish(job_id, 1)
    expect(states).to_have_text(["succeeded", "succeeded", "succeeded"])
    expect(page.locator("#jobs audio")).to_be_visible()
    page.reload()
    expect(states).to_have_text(["succeeded", "succeeded", "succeeded"])
    page.locator("#jobs").get_by_role("button", name="Remove").click()
    expect(page.locator("#no-jobs")).to_be_visible()
    assert jobs.jobs == {}


def test_a_cancel_and_a_job_from_elsewhere_are_seen(page: Page, jobs: FakeJobs, recording: Path) -> None:
    send(page, recording)
    page.locator("#jobs").get_by_role("button", name="Cancel").click()
    expect(page.locator("#jobs .state").first).to_have_text("cancelled")
    send(page, recording, "make it slower")
    expect(page.locator("#jobs > li")).to_have_count(2)
    second = list(jobs.jobs)[-1]
    jobs.change(second, 0, state=State.RUNNING)
    expect(page.locator("#jobs > li").first.locator(".state").first).to_have_text("running")
    del jobs.jobs[second]
    expect(page.locator("#jobs > li")).to_have_count(1)


def test_a_service_that_fails_is_told_until_it_answers(page: Page, jobs: FakeJobs, recording: Path) -> None:
    jobs.failures["create"] = [StoreError("the store has no space left", remedy="make some")]
    send(page, recording)
    expect(page.locator("#batch-failure")).to_contain_text("the store has no space left")
    send(page, recording)
    expect(page.locator("#jobs > li")).to_have_count(1)
    expect(page.locator("#batch-failure")).to_be_hidden()
    jobs.failures["get"] = [StoreError("the store refuses")]
    jobs.finish(next(iter(jobs.jobs)), 0)
    expect(page.locator("#batch-failure")).to_contain_text("the store refuses")
    expect(page.locator("#batch-failure")).to_be_hidden()
    expect(page.locator("#jobs .state").first).to_have_text("running")
