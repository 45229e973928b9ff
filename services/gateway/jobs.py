"""`/v1/jobs`: edits that outlive the request, over many recordings, followed and fetched later."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Header, Query, UploadFile
from fastapi.responses import Response

from services.gateway.document import EVENTS, answered, events
from services.gateway.events import Event, as_json, audio_response, begun, event_response
from services.gateway.formats import ResponseFormat, sounding, written_as
from services.gateway.middleware import current_request_id
from services.gateway.neighbours import Caller, CallerDep
from services.gateway.uploads import read_upload
from uniaudio.client import EditItem, EditJob, Engine, JobState, edit_step, job_filter, sampling, state_of
from uniaudio.errors import InvalidInputError, PreconditionError
from uniaudio.v1 import audio_pb2

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_MEDIA_TYPES = {
    audio_pb2.AUDIO_ENCODING_WAV: "audio/wav",
    audio_pb2.AUDIO_ENCODING_FLAC: "audio/flac",
    audio_pb2.AUDIO_ENCODING_OGG: "audio/ogg",
    audio_pb2.AUDIO_ENCODING_OPUS: "audio/ogg",
    audio_pb2.AUDIO_ENCODING_MP3: "audio/mpeg",
}
_EXAMPLE = {
    "id": "0f3a9c1e5b7d4862a1c0d9e8f7b6a594",
    "object": "job",
    "status": "running",
    "revision": "3",
    "fraction": 0.4,
    "counts": {"total": 1, "queued": 0, "running": 1, "succeeded": 0, "failed": 0, "cancelled": 0},
    "create_time": "2026-05-03T10:00:00Z",
    "items": [{"index": 0, "state": "EDIT_JOB_STATE_RUNNING", "spec": {"label": "a.wav"}}],
}
_CHANGED = {"type": "job.changed", "id": 3, "job": _EXAMPLE}


@router.post("", status_code=201, responses=answered(_EXAMPLE, status=201))
async def create_job(
    caller: CallerDep,
    file: Annotated[list[UploadFile], File(description="One recording or several.")],
    instruction: Annotated[
        list[str], Form(description="One edit or several.", examples=[["make it 1.5 times faster"]])
    ],
    chain: Annotated[
        bool,
        Form(description="Apply the edits one after the other; otherwise each makes a result of its own."),
    ] = False,
    engine: Annotated[Engine, Form()] = "auto",
    seed: Annotated[int | None, Form(ge=0, lt=2**64)] = None,
    response_format: Annotated[ResponseFormat, Form()] = "wav",
    ttl_seconds: Annotated[
        float | None, Form(gt=0, description="How long results are kept; at most 30 days.")
    ] = None,
    idempotency_key: Annotated[
        str, Header(max_length=128, description="The same key again answers the same job.")
    ] = "",
) -> dict[str, Any]:
    """A job: every recording with every edit, or with all of them in a chain. Answered once it is stored."""
    written = written_as(response_format)
    steps = [edit_step(text, engine=engine, sampling=sampling(seed=seed)) for text in instruction]
    items = [
        EditItem(
            audio=content,
            edits=edits,
            output_format=written.format,
            output_sample_rate=written.sample_rate,
            label=label,
        )
        for label, content in [((one.filename or "")[-200:], await read_upload(one)) for one in file]
        for edits in ([steps] if chain else [[step] for step in steps])
    ]
    jobs = caller.speech.jobs
    return _told(
        await caller.answer(
            jobs.create(items, request_id=idempotency_key or current_request_id(), ttl_seconds=ttl_seconds)
        )
    )


@router.get(
    "",
    responses=answered(
        {"object": "list", "data": [{**_EXAMPLE, "items": []}], "has_more": False, "next": None}
    ),
)
async def list_jobs(
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str, Query(description="`next` of the page before.")] = "",
    state: Annotated[list[JobState] | None, Query()] = None,
) -> dict[str, Any]:
    """Your jobs, newest first, without their items."""
    jobs, following = await caller.answer(
        caller.speech.jobs.page(filter=job_filter(states=state or []), page_size=limit, page_token=after)
    )
    return {
        "object": "list",
        "data": [_told(job) for job in jobs],
        "has_more": bool(following),
        "next": following or None,
    }


@router.get("/{job_id}", responses=answered(_EXAMPLE))
async def get_job(job_id: str, caller: CallerDep) -> dict[str, Any]:
    """The job with all its items."""
    return _told(await caller.answer(caller.speech.jobs.get(job_id)))


@router.post("/{job_id}/cancel", responses=answered({**_EXAMPLE, "status": "cancelled"}))
async def cancel_job(job_id: str, caller: CallerDep) -> dict[str, Any]:
    """Ends what has not ended."""
    return _told(await caller.answer(caller.speech.jobs.cancel(job_id)))


@router.delete(
    "/{job_id}", responses=answered({"id": _EXAMPLE["id"], "object": "job.deleted", "deleted": True})
)
async def delete_job(job_id: str, caller: CallerDep) -> dict[str, Any]:
    """Cancels the job where it has not ended, and removes it with its results."""
    await caller.answer(caller.speech.jobs.delete(job_id))
    return {"id": job_id, "object": "job.deleted", "deleted": True}


@router.get(
    "/{job_id}/events",
    response_class=Response,
    responses={200: {"content": {EVENTS: {"example": f"id: 3\n{events(_CHANGED)}"}}}},
)
async def watch_job(
    job_id: str,
    caller: CallerDep,
    last_event_id: Annotated[
        str, Header(description="The revision that was seen last; browsers send it.")
    ] = "0",
) -> Response:
    """The job as it changes, with the items that changed, until it has ended."""
    if not last_event_id.isdigit():
        raise InvalidInputError(
            f"Last-Event-ID is {last_event_id[:40]!r}; send the revision that was seen last",
            field="last-event-id",
            value=last_event_id[:40],
            limit="a number",
            remedy="send the revision that was seen last",
        )
    return event_response(await caller.answer(begun(_changes(caller, job_id, int(last_event_id)))))


async def _changes(caller: Caller, job_id: str, revision: int) -> AsyncGenerator[Event, None]:
    async with aclosing(caller.speech.jobs.watch(job_id, revision=revision)) as changes:
        async for job in changes:
            yield {"type": "job.changed", "id": job.revision, "job": _told(job)}
    yield {"type": "job.ended"}


@router.get("/{job_id}/items/{index}/content", response_class=Response, responses=sounding())
async def download(job_id: str, index: int, caller: CallerDep) -> Response:
    """What an item made."""
    job = await caller.answer(caller.speech.jobs.get(job_id))
    item = next((item for item in job.items if item.index == index), None)
    if item is None or state_of(item) != "succeeded":
        state = "not there" if item is None else state_of(item)
        raise PreconditionError(
            f"item {index} of job {job_id} is {state}, so it has no audio; wait until it has succeeded",
            reason="NO_RESULT",
            value=state,
            limit="succeeded",
            remedy="wait until it has succeeded",
        )
    return audio_response(
        await caller.answer(begun(caller.speech.jobs.download(job_id, index))),
        _MEDIA_TYPES.get(item.result.format.encoding, "audio/pcm"),
    )


def _told(job: EditJob) -> dict[str, Any]:
    """The job as JSON: the contract's fields, with `id` and `status` as OpenAI's jobs have them."""
    told = as_json(job)
    return {"id": job.job_id, "object": "job", "status": state_of(job), **told}
