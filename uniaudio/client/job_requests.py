"""What edit jobs are made of on the caller's side, and the requests that both clients send."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Literal, TypeAlias, get_args

from google.protobuf.duration_pb2 import Duration

from uniaudio.client.audio import AudioSource, OutputFormat, output_message
from uniaudio.client.requests import Engine, engine_message
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import jobs_pb2, llm_pb2

EditJob = jobs_pb2.EditJob
EditJobItem = jobs_pb2.EditJobItem
EditResult = jobs_pb2.EditResult
EditStep = jobs_pb2.EditStep
UploadedRecording = jobs_pb2.Recording

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
"""How far a job or an item is; the last three never change any more."""
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
_NAMES: Mapping[int, JobState] = {
    jobs_pb2.EditJobState.Value(f"EDIT_JOB_STATE_{state.upper()}"): state for state in JOB_STATES
}
_FINAL = frozenset({"succeeded", "failed", "cancelled"})

ItemSource: TypeAlias = "AudioSource | UploadedRecording"
"""A recording to be uploaded, or one that was."""


@dataclass(frozen=True, kw_only=True)
class EditItem:
    """One recording and what to do with it: one edit, or several, each applied to the result of the one before.

    `audio` may be a path, a file's bytes, an array with its `sample_rate` in Hz, or what `upload` gave.
    `label` is a name of your own, at most 200 characters; a path's last part where it is empty.
    """

    audio: ItemSource
    edits: Sequence[str | EditStep]
    sample_rate: int | None = None
    output_format: OutputFormat = "wav"
    output_sample_rate: int | None = None
    label: str = ""


def edit_step(
    instruction: str,
    *,
    engine: Engine = "auto",
    transcript: str = "",
    regenerate_untouched: bool = False,
    sampling: llm_pb2.SamplingOptions | None = None,
) -> EditStep:
    """An edit with more to say than its instruction; as in `SpeechClient.edit`."""
    return EditStep(
        instruction=instruction,
        engine=engine_message(engine),
        transcript=transcript,
        regenerate_untouched=regenerate_untouched,
        sampling=sampling,
    )


def batch(
    recordings: Sequence[ItemSource],
    edits: Sequence[str | EditStep],
    *,
    output_format: OutputFormat = "wav",
    output_sample_rate: int | None = None,
) -> list[EditItem]:
    """Items for every recording with every edit, by recording. A chain is one item with several edits."""
    return [
        EditItem(
            audio=recording, edits=[edit], output_format=output_format, output_sample_rate=output_sample_rate
        )
        for recording, edit in product(recordings, edits)
    ]


def state_of(thing: EditJob | EditJobItem) -> JobState:
    """How far a job or an item is."""
    return _NAMES[thing.state]


def has_ended(thing: EditJob | EditJobItem) -> bool:
    """Whether a job or an item never changes any more."""
    return state_of(thing) in _FINAL


def source_key(item: EditItem) -> object:
    """Tells the recordings of items apart, so that each is uploaded once."""
    return os.fspath(item.audio) if isinstance(item.audio, str | os.PathLike) else id(item.audio)


def create_request(
    items: Iterable[tuple[EditItem, UploadedRecording]], request_id: str, ttl_seconds: float | None
) -> jobs_pb2.CreateEditJobRequest:
    """The message of a creation; with an id always, so that it can be sent again."""
    ttl = None
    if ttl_seconds is not None:
        ttl = Duration()
        ttl.FromNanoseconds(round(ttl_seconds * 1e9))
    return jobs_pb2.CreateEditJobRequest(
        request_id=request_id or uuid.uuid4().hex,
        items=[_spec(item, recording) for item, recording in items],
        ttl=ttl,
    )


def job_filter(
    *,
    states: Sequence[JobState] = (),
    created_from: datetime | None = None,
    created_before: datetime | None = None,
) -> str:
    """The filter of a list, written out; times need their zone."""
    parts = [" OR ".join(f"state = {_checked(state).upper()}" for state in states)] if states else []
    for operator, moment in ((">=", created_from), ("<", created_before)):
        if moment is not None:
            parts.append(f'create_time {operator} "{moment.isoformat()}"')
    return " AND ".join(parts)


def list_request(filter: str, page_token: str, page_size: int) -> jobs_pb2.ListEditJobsRequest:
    """The message of one page, no larger than a page may be."""
    return jobs_pb2.ListEditJobsRequest(filter=filter, page_size=min(page_size, 1000), page_token=page_token)


def _spec(item: EditItem, recording: UploadedRecording) -> jobs_pb2.EditJobItemSpec:
    return jobs_pb2.EditJobItemSpec(
        recording_id=recording.recording_id,
        edits=[edit_step(edit) if isinstance(edit, str) else edit for edit in item.edits],
        output_format=output_message(item.output_format, item.output_sample_rate),
        label=item.label or _own_label(item.audio),
    )


def _own_label(audio: ItemSource) -> str:
    return os.path.basename(audio)[-200:] if isinstance(audio, str | os.PathLike) else ""


def _checked(state: JobState) -> JobState:
    if state not in JOB_STATES:
        raise InvalidInputError(
            f"state {state!r} is not known; use one of {', '.join(JOB_STATES)}",
            value=state,
            limit=", ".join(JOB_STATES),
            remedy="use one of them",
        )
    return state
