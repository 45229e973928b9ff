"""Jobs over HTTP before the real job servicer: the whole way of a job, and who asks for it twice."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.fakes_jobs import FakeJobs, finish_all, served_jobs
from tests.gateway_house import error_of, events_of, running_gateway


@pytest.fixture
def fake() -> FakeJobs:
    return FakeJobs()


@pytest.fixture
def http(fake: FakeJobs) -> Iterator[httpx.Client]:
    with (
        served_jobs(fake) as (_, address),
        running_gateway(address) as base,
        httpx.Client(base_url=base, timeout=20) as client,
    ):
        yield client


def create(http: httpx.Client, key: str = "", **form: object) -> httpx.Response:
    files = [("file", ("a.wav", b"RIFF-one")), ("file", ("b.wav", b"RIFF-two"))]
    return http.post(
        "/v1/jobs",
        files=files,
        data={"instruction": ["make it faster", "make it louder"], **form},
        headers={"Idempotency-Key": key} if key else {},
    )


def test_the_way_of_a_job(fake: FakeJobs, http: httpx.Client) -> None:
    fake.work = finish_all
    created = create(http)
    assert created.status_code == 201
    job = created.json()
    assert [item["spec"]["label"] for item in job["items"]] == ["a.wav", "a.wav", "b.wav", "b.wav"]
    answer = http.get(f"/v1/jobs/{job['id']}/events")
    events = events_of(answer)
    assert (events[-2]["job"]["status"], events[-1]["type"]) == ("succeeded", "job.ended")
    assert f"id: {events[-2]['id']}" in answer.text
    done = http.get(f"/v1/jobs/{job['id']}").json()
    assert (done["status"], done["counts"]["succeeded"]) == ("succeeded", 4)
    sound = http.get(f"/v1/jobs/{job['id']}/items/3/content")
    assert len(sound.content) == int(done["items"][3]["result"]["size_bytes"])
    assert http.delete(f"/v1/jobs/{job['id']}").json()["deleted"] is True
    assert http.get(f"/v1/jobs/{job['id']}").status_code == 404


def test_a_chain_is_one_item_a_recording(http: httpx.Client) -> None:
    items = create(http, chain="true").json()["items"]
    assert [len(item["spec"]["edits"]) for item in items] == [2, 2]


def test_the_same_key_is_the_same_job(http: httpx.Client) -> None:
    first, second = create(http, "k1").json(), create(http, "k1").json()
    assert first["id"] == second["id"]


def test_lists_go_by_pages_and_states(http: httpx.Client) -> None:
    ids = [create(http, f"k{n}").json()["id"] for n in range(3)]
    first = http.get("/v1/jobs", params={"limit": 2}).json()
    rest = http.get("/v1/jobs", params={"limit": 2, "after": first["next"]}).json()
    assert {job["id"] for job in [*first["data"], *rest["data"]]} == set(ids)
    assert (first["has_more"], rest["has_more"]) == (True, False)
    cancelled = http.post(f"/v1/jobs/{ids[0]}/cancel").json()
    assert cancelled["status"] == "cancelled"
    assert http.get("/v1/jobs", params={"state": "nonsense"}).status_code == 400


def test_a_result_that_is_not_there_is_refused(http: httpx.Client) -> None:
    job = create(http).json()
    answer = http.get(f"/v1/jobs/{job['id']}/items/0/content")
    assert (answer.status_code, error_of(answer)["code"]) == (409, "no_result")
