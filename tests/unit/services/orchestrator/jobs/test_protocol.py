"""The job protocol against the real store on SQLite, in interleavings that Hypothesis chooses.

Two workers, a sweeper, callers that cancel and repeat themselves, messages that are lost and come twice, a
clock that jumps both ways, and processes that are killed between any two statements of any transaction, or
after its commit and before they know of it. The bound: two jobs of at most two items of at most two edits,
MAX_STEPS actions, crashes included, and then a calm in which everything has to end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from sqlalchemy import event, select

from services.orchestrator.jobs.codec import ARTIFACT, StepsDone
from services.orchestrator.jobs.limits import Patience
from services.orchestrator.jobs.model import FINAL, Progress, State
from services.orchestrator.jobs.store import Created, new_job
from services.orchestrator.jobs.tables import ITEMS, JOBS, USAGE
from services.orchestrator.jobs.transitions import ItemKey
from services.orchestrator.jobs.work import Beat, Claim, GaveUp, Outcome, Released, StepEnded
from tests.jobs_house import FAULT, JobsHouse, success

MAX_STEPS = 40
T = TypeVar("T")

crash = st.one_of(st.none(), st.none(), st.integers(0, 8))
"""None, or the number of statements after which the process is killed; beyond the last: after its commit."""
job_number = st.integers(0, 1)


class Killed(Exception):  # noqa: N818 - it is what happens to a process
    """The process is gone."""


class JobProtocol(RuleBasedStateMachine):
    messages = Bundle("messages")
    claims = Bundle("claims")

    @initialize()
    def open(self) -> None:
        patience = Patience(lease_seconds=30, redispatch_seconds=30, max_attempts=3, max_crashes=2)
        self.house = JobsHouse(patience=patience)
        self.specs = [self.house.spec(items=2, steps=1), self.house.spec(items=1, steps=2)]
        self.job_ids: dict[int, str] = {}
        self.ended: dict[ItemKey, tuple[Any, ...]] = {}
        self.revisions: dict[str, int] = {}
        self.committed: Counter[ItemKey] = Counter()
        event.listen(self.house.database.engine, "before_cursor_execute", self._count_statement)
        self.statements_left: int | None = None

    def teardown(self) -> None:
        if hasattr(self, "house"):
            self._calm_down()
            self.house.close()

    # What callers do.

    @rule(target=messages, number=job_number, crash_after=crash)
    def create(self, number: int, crash_after: int | None) -> Any:
        job = new_job("ada", f"request {number}", self.specs[number])
        made = self._run(lambda: self.house.jobs.create([job]), crash_after)
        if made is None:
            return multiple()
        (created,) = made
        assert isinstance(created, Created)
        assert self.job_ids.setdefault(number, created.job_id) == created.job_id
        if created.job is None:
            return multiple()
        return multiple(*((created.job_id, index) for index in range(len(job.spec.items))))

    @rule(number=job_number, crash_after=crash)
    def cancel(self, number: int, crash_after: int | None) -> None:
        if number in self.job_ids:
            self._run(lambda: self.house.jobs.cancel("ada", self.job_ids[number]), crash_after)

    # What happens to messages.

    @rule(message=consumes(messages))
    def lose(self, message: ItemKey) -> None:
        """The broker forgot it."""

    @rule(target=claims, message=messages, alone=st.booleans(), crash_after=crash)
    def deliver_and_keep(self, message: ItemKey, alone: bool, crash_after: int | None) -> Any:
        return self._claim(message, alone, crash_after)

    @rule(target=claims, message=consumes(messages), alone=st.booleans(), crash_after=crash)
    def deliver(self, message: ItemKey, alone: bool, crash_after: int | None) -> Any:
        return self._claim(message, alone, crash_after)

    # What workers do; a claim that stays in the bundle is one that its worker believes in, however late.

    @rule(claim=consumes(claims))
    def die(self, claim: Claim) -> None:
        """The worker is gone, and the claim with it."""

    @rule(claim=claims, fraction=st.sampled_from([0.1, 0.5]), crash_after=crash)
    def beat(self, claim: Claim, fraction: float, crash_after: int | None) -> None:
        self._run(lambda: self.house.work.hold([Beat(claim, Progress(fraction=fraction))]), crash_after)

    @rule(claim=claims, crash_after=crash)
    def end_step(self, claim: Claim, crash_after: int | None) -> None:
        self._end(StepEnded(claim, StepsDone(artifact=success(claim).result)), crash_after)

    @rule(claim=claims, crash_after=crash)
    def succeed(self, claim: Claim, crash_after: int | None) -> None:
        self._end(success(claim), crash_after)

    @rule(claim=claims, retry=st.sampled_from([None, 2.0]), crash_after=crash)
    def give_up(self, claim: Claim, retry: float | None, crash_after: int | None) -> None:
        self._end(GaveUp(claim, FAULT, retry), crash_after)

    @rule(claim=claims, crash_after=crash)
    def release(self, claim: Claim, crash_after: int | None) -> None:
        self._end(Released(claim), crash_after)

    # The sweeper, and time.

    @rule(crash_after=crash)
    def reclaim(self, crash_after: int | None) -> None:
        self._run(lambda: self.house.sweep.reclaim(10, 0.5), crash_after)

    @rule(target=messages, crash_after=crash)
    def send_again(self, crash_after: int | None) -> Any:
        return multiple(*(self._run(lambda: self.house.sweep.due(10), crash_after) or ()))

    @rule(seconds=st.sampled_from([1.0, 5.0, 31.0, 4_000.0, -10.0, -100_000.0]))
    def move_clock(self, seconds: float) -> None:
        self.house.clock.now += seconds

    # What must hold at every moment.

    @invariant()
    def all_holds(self) -> None:
        with self.house.database.transaction() as connection:
            items, jobs, usage = (list(connection.execute(select(table))) for table in (ITEMS, JOBS, USAGE))
        self._what_has_ended_stays(items)
        self._results_are_the_last_holders(items)
        self._counts_are_what_they_count(items, jobs, usage)

    def _what_has_ended_stays(self, items: list[Any]) -> None:
        for row in items:
            key = (row.job_id, row.item_index)
            assert (row.state in FINAL) or key not in self.ended
            if row.state in FINAL:
                assert self.ended.setdefault(key, tuple(row)) == tuple(row)

    def _results_are_the_last_holders(self, items: list[Any]) -> None:
        for row in items:
            assert (row.result is not None) == (row.state == State.SUCCEEDED)
            assert self.committed[row.job_id, row.item_index] <= 1
            if row.result is not None:
                assert ARTIFACT.load(row.result).object_key.endswith(f"/{row.token}")

    def _counts_are_what_they_count(self, items: list[Any], jobs: list[Any], usage: list[Any]) -> None:
        open_jobs = open_items = result_bytes = 0
        for job in jobs:
            mine = [row for row in items if row.job_id == job.job_id]
            counted = {state.value: getattr(job, f"num_{state.value}") for state in State}
            assert +Counter(counted) == Counter(row.state for row in mine)
            assert abs(job.fraction_sum - sum(row.fraction for row in mine)) < 1e-9
            assert job.revision >= max(self.revisions.get(job.job_id, 0), *(row.revision for row in mine))
            self.revisions[job.job_id] = job.revision
            has_ended = all(row.state in FINAL for row in mine)
            assert (job.state in FINAL) == has_ended == (job.ended_at is not None)
            if has_ended:
                result_bytes += job.result_bytes
            else:
                open_jobs, open_items = open_jobs + 1, open_items + job.num_items
        for account in usage:
            assert (account.num_jobs, account.num_items) == (open_jobs, open_items)
            assert account.num_bytes == result_bytes + 4

    def _claim(self, message: ItemKey, alone: bool, crash_after: int | None) -> Any:
        got = self._run(lambda: self.house.work.claim([message], "worker", alone=alone), crash_after)
        return multiple(*(claim for claim in got or () if isinstance(claim, Claim)))

    def _end(self, outcome: Outcome, crash_after: int | None) -> None:
        held = self._run(lambda: self.house.work.end([outcome]), crash_after)
        if held == [True] and not isinstance(outcome, StepEnded | Released):
            is_last = not isinstance(outcome, GaveUp) or outcome.retry_seconds is None
            self.committed[outcome.claim.key] += is_last

    def _run(self, work: Callable[[], T], crash_after: int | None) -> T | None:
        """What the process learns of its work; nothing where it is killed meanwhile or right after."""
        self.statements_left = crash_after
        try:
            done = work()
        except Killed:
            return None
        finally:
            was_armed, self.statements_left = self.statements_left is not None, None
        return None if was_armed else done

    def _count_statement(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if self.statements_left is None or statement == "BEGIN IMMEDIATE":
            return
        if self.statements_left == 0:
            raise Killed
        self.statements_left -= 1

    def _calm_down(self) -> None:
        """No more faults: whatever was accepted ends, and soon."""
        for _ in range(40):
            if self._has_all_ended():
                break
            self.house.clock.now += 4_000
            self.house.sweep.reclaim(10, 0.5)
            self.house.clock.now += 61
            for key in self.house.sweep.due(10):
                (claim,) = self.house.work.claim([key], "calm", alone=True)
                if isinstance(claim, Claim):
                    assert self.house.work.end([success(claim)]) == [True]
        else:
            raise AssertionError("what was accepted does not end")
        self.all_holds()

    def _has_all_ended(self) -> bool:
        with self.house.database.transaction() as connection:
            return all(state in FINAL for state in connection.scalars(select(ITEMS.c.state)))


JobProtocol.TestCase.settings = settings(
    max_examples=60, stateful_step_count=MAX_STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)
TestJobProtocol = JobProtocol.TestCase
