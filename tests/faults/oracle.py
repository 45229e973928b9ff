"""Whether jobs kept what they promise, asked of the service, of the database itself, and of the bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from services.orchestrator.domain import AudioBytes, EditOrder, Recording, Sampling
from services.orchestrator.edit import Editor
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, FakeTools
from tests.faults.house import House
from tests.faults.load import INSTRUCTION, Load, Order, job_of
from tests.jobs_worker import speaking
from uniaudio.audio.encode import wav_header
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.client import AsyncSpeechClient
from uniaudio.client.job_requests import EditJob, has_ended, state_of
from uniaudio.errors import UniaudioError

_SAMPLE_RATE, _HEADER_BYTES = 16_000, 44
_BETWEEN = AudioFormat(encoding=AudioEncoding.PCM_F32LE, sample_rate=_SAMPLE_RATE, num_channels=1)
_WAV = AudioFormat(encoding=AudioEncoding.WAV)
_UNFORESEEN = {"INTERNAL", "UNKNOWN"}


@dataclass
class Verdict:
    """What came of all accepted jobs; `broken` tells every promise that was not kept."""

    num_jobs: int = 0
    items: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    num_attempts: int = 0
    broken: list[str] = field(default_factory=list)


async def judge(house: House, client: AsyncSpeechClient, load: Load) -> Verdict:
    """Looks at every accepted job, after the load has ended."""
    verdict = Verdict(num_jobs=len(load.accepted))
    for order in load.accepted:
        await _judge_job(client, order, verdict)
    verdict.broken += _judge_endings(house, load)
    verdict.broken += house.check_accounts() + house.check_artifacts()
    verdict.broken += [
        f"a call was refused for {reason}" for reason in sorted(_UNFORESEEN & set(load.refusals))
    ]
    return verdict


async def _judge_job(client: AsyncSpeechClient, order: Order, verdict: Verdict) -> None:
    job = await job_of(client, order)
    if not has_ended(job):
        verdict.broken.append(f"job {job.job_id} has not ended: {job.counts}")
        return
    again = await client.jobs.create(order.items(), request_id=order.request_id, timeout_seconds=60)
    if again.job_id != job.job_id:
        verdict.broken.append(f"request {order.request_id} made a second job")
    if len(job.items) != len(order.seeds):
        verdict.broken.append(f"job {job.job_id} has {len(job.items)} items of {len(order.seeds)}")
    for item, seeds in zip(job.items, order.seeds, strict=False):
        verdict.items[state_of(item)] += 1
        verdict.num_attempts += item.attempts
        if state_of(item) == "failed":
            verdict.reasons[item.error.reason] += 1
            if item.error.reason in {"", *_UNFORESEEN}:
                verdict.broken.append(f"an item failed as {item.error.reason!r}: {item.error.message}")
        elif state_of(item) != "succeeded":
            verdict.broken.append(f"an item that nobody cancelled is {state_of(item)}")
        else:
            verdict.broken += await _judge_audio(client, job, item.index, await undisturbed(order, seeds))


async def _judge_audio(client: AsyncSpeechClient, job: EditJob, index: int, expected: bytes) -> list[str]:
    try:  # the download checks the length and the hash that the item names
        content = b"".join([piece async for piece in client.jobs.download(job.job_id, index)])
    except UniaudioError as error:
        return [f"the result of item {index} of {job.job_id} cannot be had: {error.message}"]
    attempts = job.items[index].attempts
    return [] if content == expected else [f"audio differs after {attempts} attempts"]


def _judge_endings(house: House, load: Load) -> list[str]:
    """By the database's own record: each item of each job ended exactly once."""
    with house.database() as connection:
        rows = connection.execute("SELECT job_id, item_index, before FROM witness").fetchall()
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


async def undisturbed(order: Order, seeds: tuple[int, ...]) -> bytes:
    """What the same chain of edits gives without jobs, one edit after another."""
    content, format = order.recording, AudioFormat()
    for number, seed in enumerate(seeds):
        output = _WAV if number == len(seeds) - 1 else _BETWEEN
        tokenizer, model = FakeTokenizer(), FakeLanguageModel(speaking)
        editor = Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools())
        edit = EditOrder(
            audio=Recording(content=content, format=format),
            instruction=INSTRUCTION,
            sampling=Sampling(seed=seed),
            output=output,
        )
        content = b"".join([item.content async for item in editor.edit(edit) if isinstance(item, AudioBytes)])
        format = output
    # A file that is streamed cannot tell its length; one that is stored does.
    return wav_header(_SAMPLE_RATE, (len(content) - _HEADER_BYTES) // 2) + content[_HEADER_BYTES:]
