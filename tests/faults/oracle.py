"""Whether jobs kept what they promise, asked of the service, of the database itself, and of the bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.faults.load import Load, Order, job_of
from tests.faults.pace import Pace
from uniaudio.client import AsyncSpeechClient
from uniaudio.client.job_requests import EditJob, has_ended, state_of
from uniaudio.errors import UniaudioError

_UNFORESEEN = {"INTERNAL", "UNKNOWN"}


class Place(Protocol):
    """Where jobs run, and what can be asked of it past the service."""

    pace: Pace
    address: str

    def endings(self) -> Sequence[tuple[str, int, str]]:
        """By the database's own record: each step of an item (its job, its index) into an end, and from which state."""
        ...

    def check_accounts(self) -> list[str]:
        """What an account counts though no job takes it up any more."""
        ...

    def check_artifacts(self) -> list[str]:
        """Results in the store whose bytes are not those that their names tell; leftovers of lost attempts too."""
        ...

    async def expected(self, client: AsyncSpeechClient, order: Order, index: int) -> str:
        """SHA-256 of what an item gives where nothing disturbs it, or why it fails then."""
        ...


@dataclass
class Verdict:
    """What came of all accepted jobs; `broken` tells every promise that was not kept."""

    num_jobs: int = 0
    items: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    num_attempts: int = 0
    broken: list[str] = field(default_factory=list)


async def judge(place: Place, client: AsyncSpeechClient, load: Load) -> Verdict:
    """Looks at every accepted job, after the load has ended."""
    verdict = Verdict(num_jobs=len(load.accepted))
    for order in load.accepted:
        await _judge_job(place, client, order, verdict)
    verdict.broken += _judge_endings(place, load)
    verdict.broken += place.check_accounts() + place.check_artifacts()
    verdict.broken += [
        f"a call was refused for {reason}" for reason in sorted(_UNFORESEEN & set(load.refusals))
    ]
    return verdict


async def _judge_job(place: Place, client: AsyncSpeechClient, order: Order, verdict: Verdict) -> None:
    job = await job_of(client, order)
    if not has_ended(job):
        verdict.broken.append(f"job {job.job_id} has not ended: {job.counts}")
        return
    again = await client.jobs.create(order.items(), request_id=order.request_id, timeout_seconds=60)
    if again.job_id != job.job_id:
        verdict.broken.append(f"request {order.request_id} made a second job")
    if len(job.items) != len(order.seeds):
        verdict.broken.append(f"job {job.job_id} has {len(job.items)} items of {len(order.seeds)}")
    for item in job.items:
        verdict.items[state_of(item)] += 1
        verdict.num_attempts += item.attempts
        if state_of(item) == "failed":
            verdict.reasons[item.error.reason] += 1
            if item.error.reason in {"", *_UNFORESEEN}:
                verdict.broken.append(f"an item failed as {item.error.reason!r}: {item.error.message}")
        elif state_of(item) != "succeeded":
            verdict.broken.append(f"an item that nobody cancelled is {state_of(item)}")
        else:
            verdict.broken += await _judge_audio(
                client, job, item.index, await place.expected(client, order, item.index)
            )


async def _judge_audio(client: AsyncSpeechClient, job: EditJob, index: int, expected: str) -> list[str]:
    try:  # the download checks the length and the hash that the item names
        content = b"".join([piece async for piece in client.jobs.download(job.job_id, index)])
    except UniaudioError as error:
        return [f"the result of item {index} of {job.job_id} cannot be had: {error.message}"]
    found, attempts = hashlib.sha256(content).hexdigest(), job.items[index].attempts
    return [] if found == expected else [f"audio differs after {attempts} attempts: {found}, {expected}"]


def _judge_endings(place: Place, load: Load) -> list[str]:
    rows = place.endings()
    endings = Counter((job_id, index) for job_id, index, _ in rows)
    broken = [f"item {index} of {job_id} left its end" for job_id, index, before in rows if _is_end(before)]
    accepted = [(order.job_id, index) for order in load.accepted for index in range(len(order.seeds))]
    broken += [
        f"item {index} of {job_id} ended {endings[job_id, index]} times"
        for job_id, index in accepted
        if endings[job_id, index] != 1
    ]
    return broken


def _is_end(state: str) -> bool:
    return state not in ("queued", "running")
