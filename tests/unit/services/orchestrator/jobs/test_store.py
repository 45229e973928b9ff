from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from services.orchestrator.jobs.codec import StepsDone
from services.orchestrator.jobs.limits import Quota, Retention
from services.orchestrator.jobs.model import JobQuery, Progress, State
from services.orchestrator.jobs.store import Created, new_job
from services.orchestrator.jobs.work import Beat, GaveUp, Released, StepEnded, Suspect
from tests.jobs_house import FAULT, JobsHouse, success
from uniaudio.errors import InvalidInputError, NotFoundError, PreconditionError, QueueFullError


@pytest.fixture
def house() -> Iterator[JobsHouse]:
    house = JobsHouse()
    yield house
    house.close()


def usage(house: JobsHouse, caller: str = "ada") -> tuple[int, int, int]:
    with house.database.transaction() as connection:
        row = connection.exec_driver_sql(
            "SELECT num_jobs, num_items, num_bytes FROM usage WHERE caller = ?", (caller,)
        ).one()
    return tuple(row)


def test_the_way_of_a_job(house: JobsHouse) -> None:
    job_id = house.create(items=2)
    job = house.jobs.get("ada", job_id)
    assert (job.state, job.counts.queued, job.fraction, job.revision) == (State.QUEUED, 2, 0.0, 1)
    assert all(item.spec.steps[0].sampling.seed is not None for item in job.items)
    house.clock.now += 5
    claim = house.claim(job_id, 0)
    assert house.work.hold([Beat(claim, Progress(step=0, stage="speaking", fraction=0.5))]) == [True]
    job = house.jobs.get("ada", job_id, after_revision=1)
    assert (job.state, job.fraction, job.started_at) == (State.RUNNING, 0.25, house.clock.now)
    assert [item.index for item in job.items] == [0]
    assert house.work.end([success(claim)]) == [True]
    assert usage(house)[:2] == (1, 2)
    assert house.work.end([success(house.claim(job_id, 1))]) == [True]
    job = house.jobs.get("ada", job_id)
    assert (job.state, job.counts.succeeded, job.fraction) == (State.SUCCEEDED, 2, 1.0)
    assert job.expires_at == job.ended_at + 7 * 86_400
    assert usage(house) == (0, 0, 4 + 20)


def test_the_same_request_is_the_same_job(house: JobsHouse) -> None:
    spec = house.spec()
    first = house.jobs.create([new_job("ada", "r", spec)])
    again, others = house.jobs.create([new_job("ada", "r", spec), new_job("bob", "r", house.spec("bob"))])
    assert isinstance(first[0], Created)
    assert again == Created(first[0].job_id)
    assert first[0].job == house.jobs.get("ada", first[0].job_id)
    assert isinstance(others, Created)
    assert others.job
    twice = house.jobs.create([new_job("ada", "s", spec), new_job("ada", "s", spec)])
    assert [made.job is not None for made in twice if isinstance(made, Created)] == [True, False]


def test_an_id_used_for_something_else_is_refused(house: JobsHouse) -> None:
    job_id = house.create(request_id="r")
    (refused,) = house.jobs.create([new_job("ada", "r", house.spec(items=2))])
    assert isinstance(refused, PreconditionError)
    assert refused.reason == "REQUEST_ID_REUSED"
    house.jobs.delete("ada", job_id)
    (refused,) = house.jobs.create([new_job("ada", "r", house.spec())])
    assert isinstance(refused, PreconditionError)


def test_another_callers_things_are_not_there(house: JobsHouse) -> None:
    job_id = house.create("ada")
    for ask in (house.jobs.get, house.jobs.cancel, house.jobs.delete):
        with pytest.raises(NotFoundError):
            ask("bob", job_id)
    (refused,) = house.jobs.create([new_job("bob", "r", house.spec("ada"))])
    assert isinstance(refused, NotFoundError)
    assert house.jobs.page("bob", JobQuery()).jobs == ()
    with pytest.raises(NotFoundError, match="no item"):
        house.jobs.item("ada", job_id, 1)


def test_quotas_hold_within_a_batch_and_come_back(house: JobsHouse) -> None:
    house.jobs._quota = Quota(max_jobs=2, max_items=3)
    wanted = [new_job("ada", f"r{i}", house.spec(items=n)) for i, n in enumerate((2, 2, 1, 1))]
    made = house.jobs.create(wanted)
    assert [isinstance(result, QueueFullError) for result in made] == [False, True, False, True]
    house.jobs.cancel("ada", made[0].job_id)
    assert isinstance(house.jobs.create(wanted[3:])[0], Created)


def test_pages_stay_right_while_jobs_come(house: JobsHouse) -> None:
    for n in range(5):
        house.clock.now += n // 2  # some share their time
        house.create(request_id=f"r{n}")
    seen, query = [], JobQuery(page_size=2)
    while True:
        page = house.jobs.page("ada", query)
        seen += [job.request_id for job in page.jobs]
        house.clock.now += 1
        house.create(request_id=f"late {len(seen)}")
        if not page.next_page_token:
            break
        query = replace(query, page_token=page.next_page_token)
    assert sorted(seen) == [f"r{n}" for n in range(5)]
    assert seen[0] == "r4"


def test_lists_are_filtered_and_tokens_belong_to_their_filter(house: JobsHouse) -> None:
    for n in range(3):
        house.clock.now += 10
        house.create(request_id=f"r{n}")
    start = house.clock.now
    house.jobs.cancel("ada", house.jobs.page("ada", JobQuery()).jobs[0].job_id)
    cancelled = JobQuery(states=frozenset({State.CANCELLED}))
    assert [job.request_id for job in house.jobs.page("ada", cancelled).jobs] == ["r2"]
    before = house.jobs.page("ada", JobQuery(created_before=start, page_size=1))
    assert [job.request_id for job in before.jobs] == ["r1"]
    assert house.jobs.page("ada", JobQuery(ended_from=start)).jobs[0].request_id == "r2"
    for token in (before.next_page_token, "nonsense", "AAAA", "x" * 600):
        with pytest.raises(InvalidInputError, match="page token"):
            house.jobs.page("ada", JobQuery(page_token=token))
    with pytest.raises(InvalidInputError, match="page_size"):
        house.jobs.page("ada", JobQuery(page_size=-1))


def test_only_one_holder_and_only_the_newest_writes(house: JobsHouse) -> None:
    job_id = house.create()
    key = (job_id, 0)
    assert [claim is not None for claim in house.work.claim([key, key], "a")] == [True, False]
    assert house.work.claim([key], "b") == [None]
    house.clock.now += 31
    assert house.sweep.reclaim(10, 0.0) == 1
    assert house.work.claim([key], "b") == [None]  # it waits a moment
    house.clock.now += 2
    assert house.work.claim([key], "b") == [Suspect(key)]
    newest = house.claim(job_id, holder="b", alone=True)
    assert newest.token == 2
    stale = replace(newest, token=1)
    assert house.work.end([success(stale), success(newest), success(newest)]) == [False, True, False]
    item = house.jobs.item("ada", job_id, 0)
    assert item.result.object_key.endswith("/2")
    assert (item.num_attempts, item.state) == (2, State.SUCCEEDED)


def test_a_poison_item_fails_with_its_reason(house: JobsHouse) -> None:
    job_id = house.create(items=2)
    for _ in range(3):
        house.claim(job_id, 0, alone=True)
        house.clock.now += 31
        assert house.sweep.reclaim(10, 1.0) == 1
        house.clock.now += 60
    item = house.jobs.item("ada", job_id, 0)
    assert (item.state, item.failure.reason) == (State.FAILED, "WORKER_LOST")
    assert "3 times" in item.failure.message
    house.work.end([success(house.claim(job_id, 1))])
    assert house.jobs.get("ada", job_id).state is State.FAILED


def test_retries_wait_and_then_go_out_again(house: JobsHouse) -> None:
    job_id = house.create()
    claim = house.claim(job_id)
    assert house.work.end([GaveUp(claim, FAULT, 4.0)]) == [True]
    item = house.jobs.item("ada", job_id, 0)
    assert (item.state, item.retry_at, item.failure) == (State.QUEUED, house.clock.now + 4, FAULT)
    assert house.sweep.due(10) == []
    house.clock.now += 4.5
    assert house.sweep.due(10) == [(job_id, 0)]
    assert house.sweep.due(10) == []
    again = house.claim(job_id)
    assert again.num_attempts == 2
    house.work.end([GaveUp(again, FAULT, None)])
    assert house.jobs.item("ada", job_id, 0).failure.as_error().reason == "UNAVAILABLE"


def test_a_lost_message_is_sent_again_and_ever_more_rarely(house: JobsHouse) -> None:
    job_id = house.create()
    gaps, last = [], house.clock.now
    while len(gaps) < 4:
        house.clock.now += 1
        if house.sweep.due(10):
            gaps.append(house.clock.now - last)
            last = house.clock.now
    assert gaps == [31, 61, 121, 241]
    assert house.claim(job_id)


def test_a_clock_that_is_set_back_blocks_nothing(house: JobsHouse) -> None:
    job_id = house.create(items=2)
    house.claim(job_id, 0)
    house.work.end([GaveUp(house.claim(job_id, 1), FAULT, 4.0)])
    house.clock.now -= 1_000_000
    assert house.sweep.reclaim(10, 0.0) == 1
    assert house.claim(job_id, 1)
    house.clock.now -= 1_000_000
    assert house.sweep.due(10) == [(job_id, 0)]


def test_cancelling_beats_the_holder(house: JobsHouse) -> None:
    job_id = house.create(items=2)
    claim = house.claim(job_id, 0)
    job = house.jobs.cancel("ada", job_id)
    assert (job.state, job.counts.cancelled, job.counts.total) == (State.CANCELLED, 2, 2)
    assert house.work.hold([Beat(claim, Progress())]) == [False]
    assert house.work.end([success(claim)]) == [False]
    assert house.jobs.cancel("ada", job_id).revision == job.revision
    assert usage(house)[:2] == (0, 0)


def test_a_chain_goes_on_where_it_was(house: JobsHouse) -> None:
    job_id = house.create(steps=3)
    claim = house.claim(job_id)
    done = StepsDone(artifact=success(claim).result)
    assert house.work.end(
        [
            StepEnded(claim, done),
        ]
    ) == [True]
    assert house.work.end([Released(claim)]) == [True]
    again = house.claim(job_id)
    assert again.steps_done == done
    assert again.num_attempts == 1  # what a worker gives back of itself does not count


def test_a_lease_renewed_without_news_makes_no_revision(house: JobsHouse) -> None:
    job_id = house.create()
    claim = house.claim(job_id)
    beat = Beat(claim, Progress(stage="speaking", fraction=0.2))
    house.work.hold([beat])
    revision = house.jobs.get("ada", job_id).revision
    house.clock.now += 20
    house.work.hold([beat])
    house.clock.now += 20
    assert house.sweep.reclaim(10, 0.0) == 0
    assert house.jobs.revisions([job_id]) == {job_id: revision}


def test_what_expires_goes_in_two_steps(house: JobsHouse) -> None:
    house.sweep._retention = Retention(tombstone_seconds=100)
    job_id = house.create()
    house.work.end([success(house.claim(job_id))])
    assert house.sweep.doom(10) == []
    house.clock.now += 7 * 86_400 + 1
    (doomed,) = house.sweep.doom(10)
    with pytest.raises(NotFoundError):
        house.jobs.get("ada", job_id)
    house.sweep.purged(doomed)
    house.sweep.purged(doomed)
    assert usage(house) == (0, 0, 4)
    assert house.sweep.doom(10) == []
    house.clock.now += 101
    (doomed,) = house.sweep.doom(10)
    assert doomed.is_last_time
    house.sweep.purged(doomed)
    assert house.sweep.doom(10) == []
    assert house.create(request_id="r1") != job_id


def test_recordings_stay_while_a_job_names_them(house: JobsHouse) -> None:
    job_id = house.create()
    spare = house.recording(content=b"another")
    house.clock.now += 2 * 86_400
    (gone,) = house.recordings.doom(10)
    assert gone.recording_id == spare
    with pytest.raises(NotFoundError):
        house.recordings.find(spare)
    assert house.recording(content=b"another") != spare  # the old one's bytes are being removed
    house.recordings.forget(gone)
    assert usage(house)[2] == 4 + 7
    house.jobs.delete("ada", job_id)
    assert [recording.size_bytes for recording in house.recordings.doom(10)] == [4]


def test_the_same_bytes_are_the_same_recording(house: JobsHouse) -> None:
    assert house.recording() == house.recording()
    assert house.recording("bob") != house.recording("ada")
    assert usage(house)[2] == 4


def test_an_item_of_a_newer_program_waits_and_keeps_nobody_up(house: JobsHouse) -> None:
    job_id = house.create(items=2)
    with house.database.transaction() as connection:
        connection.exec_driver_sql("UPDATE items SET spec = '{\"version\": 9}' WHERE item_index = 0")
    claims = house.work.claim([(job_id, 0), (job_id, 1)], "w")
    assert [claim is not None for claim in claims] == [False, True]
    with house.database.reading() as connection:
        states = connection.exec_driver_sql("SELECT state FROM items ORDER BY item_index").scalars().all()
    assert states == ["queued", "running"]


@pytest.mark.parametrize("name", ["", "\0", "x" * 100_000, "A" * 32, "../jobs"])
def test_what_is_no_id_is_not_there(house: JobsHouse, name: str) -> None:
    for ask in (house.jobs.get, house.jobs.cancel, house.jobs.delete):
        with pytest.raises(NotFoundError) as caught:
            ask("ada", name)
        assert len(caught.value.message) < 200
    spec = house.spec()
    with pytest.raises(NotFoundError):
        new_job("ada", "r", replace(spec, items=(replace(spec.items[0], recording_id=name),)))
