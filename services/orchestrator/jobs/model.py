"""What a job is, in plain values. Times are seconds since 1970 by the database's clock."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.orchestrator.domain import EditReport, Sampling
from uniaudio import errors
from uniaudio.audio.formats import AudioFormat
from uniaudio.editing.plan import EditEngine
from uniaudio.errors import InvalidInputError, UniaudioError

ANONYMOUS = "anonymous"
"""The caller where nobody is asked who they are."""
MAX_RECORDING_BYTES = 2**30
MAX_ITEMS = 1_000
MAX_STEPS = 16
MAX_LABEL_CHARACTERS = 200
MAX_REQUEST_ID_CHARACTERS = 128
MAX_PAGE_SIZE = 1_000
MAX_TTL_SECONDS = 30 * 86_400.0


class State(StrEnum):
    """How far a job or an item is; the last three never change any more."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self in FINAL


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A recording that was uploaded; the same bytes of the same caller have the same id.

    `format` is what the caller declared, `audio_seconds` what the header says (0 where it says nothing).
    """

    recording_id: str
    caller: str
    format: AudioFormat
    size_bytes: int
    sha256: str
    audio_seconds: float
    expires_at: float
    object_key: str = ""

    @property
    def folder(self) -> str:
        """Where its bytes lie in the object store, once or, where uploads met, more than once."""
        return f"recordings/{self.recording_id}"


@dataclass(frozen=True, kw_only=True)
class EditStep:
    """One edit of a chain, as in EditOrder."""

    instruction: str
    engine: EditEngine = EditEngine.AUTO
    transcript: str = ""
    regenerate_untouched: bool = False
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True, kw_only=True)
class ItemSpec:
    """One recording and what to do with it: each edit is applied to the result of the one before."""

    recording_id: str
    steps: tuple[EditStep, ...]
    output: AudioFormat = field(default_factory=AudioFormat)
    label: str = ""


@dataclass(frozen=True, kw_only=True)
class JobSpec:
    """What a caller asks for. One instruction over many recordings and many over one are items of a job.

    `ttl_seconds` is how long job and results are kept after the end; None leaves it to the service.
    """

    items: tuple[ItemSpec, ...]
    ttl_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why an attempt or an item failed; `kind` is the class of our error tree."""

    kind: str
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: UniaudioError) -> Failure:
        """The failure that an error is."""
        return cls(
            kind=type(error).__name__, reason=error.reason, message=error.message, metadata=error.metadata
        )

    def as_error(self) -> UniaudioError:
        """The error that it was, to be told as any other."""
        known = getattr(errors, self.kind, UniaudioError)
        return known(self.message, reason=self.reason, **dict(self.metadata))


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far an item is: the edit of its chain, what is being done in it, and how far all of it is (0 to 1)."""

    step: int = 0
    stage: str = ""
    fraction: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A stored result: where it lies, and what it is."""

    object_key: str
    format: AudioFormat
    size_bytes: int
    sha256: str
    audio_seconds: float


@dataclass(frozen=True, kw_only=True)
class Item:
    """One recording of a job, and how far it is.

    `failure` says why it failed or, while it waits until `retry_at`, why the last attempt did. `reports` has
    one entry for each edit of the chain that has ended.
    """

    job_id: str
    index: int
    spec: ItemSpec
    state: State
    revision: int
    progress: Progress
    num_attempts: int
    started_at: float | None = None
    ended_at: float | None = None
    retry_at: float | None = None
    failure: Failure | None = None
    reports: tuple[EditReport, ...] = ()
    result: Artifact | None = None


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many items of a job are in each state."""

    total: int
    queued: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """Edits that were accepted together. `items` holds those that were asked for: all, changed ones, none."""

    job_id: str
    request_id: str
    caller: str
    state: State
    revision: int
    counts: Counts
    fraction: float
    created_at: float
    updated_at: float
    expires_at: float
    started_at: float | None = None
    ended_at: float | None = None
    items: tuple[Item, ...] = ()


@dataclass(frozen=True, kw_only=True)
class JobQuery:
    """Which jobs of a caller, newest first. Empty `states` means all; times are [from, before).

    `page_token` is that of the page before, of the same query.
    """

    states: frozenset[State] = frozenset()
    created_from: float | None = None
    created_before: float | None = None
    ended_from: float | None = None
    ended_before: float | None = None
    page_size: int = 50
    page_token: str = ""


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Jobs without their items, and the token of the next page, empty after the last."""

    jobs: tuple[Job, ...]
    next_page_token: str = ""


_ID = re.compile(r"[0-9a-f]{32}")


def is_id(text: str) -> bool:
    """Whether a text can be the id of a job or a recording: 32 hexadecimal digits."""
    return _ID.fullmatch(text) is not None


def job_folder(job_id: str) -> str:
    """Where everything lies that a job makes."""
    return f"jobs/{job_id}"


def check_text(field_name: str, text: str) -> None:
    """Raises InvalidInputError for a NUL character, which PostgreSQL keeps in no text."""
    if "\0" in text:
        raise InvalidInputError(
            f"{field_name} holds a NUL character; leave it out",
            field=field_name,
            value="a NUL character",
            limit="text without NUL characters",
            remedy="leave it out",
        )


def check_spec(spec: JobSpec) -> None:
    """Raises InvalidInputError where the counts or texts of a job can never be accepted."""
    _check_count("items in a job", len(spec.items), MAX_ITEMS)
    for index, item in enumerate(spec.items):
        _check_count("edits of an item", len(item.steps), MAX_STEPS)
        if len(item.label) > MAX_LABEL_CHARACTERS:
            raise _out_of_range("characters in a label", len(item.label), f"0 to {MAX_LABEL_CHARACTERS}")
        check_text(f"items[{index}].label", item.label)
        for number, step in enumerate(item.steps):
            check_text(f"items[{index}].edits[{number}].instruction", step.instruction)
            check_text(f"items[{index}].edits[{number}].transcript", step.transcript)
    if spec.ttl_seconds is not None and not 0 < spec.ttl_seconds <= MAX_TTL_SECONDS:
        raise _out_of_range(
            "seconds to keep a job", spec.ttl_seconds, f"above 0, at most {MAX_TTL_SECONDS:g}"
        )


def _check_count(what: str, count: int, limit: int) -> None:
    if not 1 <= count <= limit:
        raise _out_of_range(what, count, f"1 to {limit}")


def _out_of_range(what: str, value: float, allowed: str) -> InvalidInputError:
    return InvalidInputError(
        f"{value:g} {what} were sent, allowed are {allowed}; change the request",
        value=f"{value:g}",
        limit=allowed,
        remedy="change the request",
    )
