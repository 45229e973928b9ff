"""Specifications, reports and failures to JSON and back, each checked against its dataclass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import TypeAdapter
from pydantic_core import to_json

from services.orchestrator.domain import EditReport
from services.orchestrator.jobs.model import Artifact, Failure, ItemSpec, JobSpec

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StepsDone:
    """What a chain has come to: a report for each edit that ended, and the newest result."""

    reports: tuple[EditReport, ...] = ()
    artifact: Artifact | None = None


class Codec(Generic[T]):
    """One dataclass as JSON text. Making the checker costs milliseconds, so it is made when first used."""

    def __init__(self, cls: type[T]) -> None:
        self._cls = cls

    def dump(self, value: T) -> str:
        """As the database keeps it."""
        return to_json(value, inf_nan_mode="constants").decode()

    def load(self, text: str) -> T:
        """Raises pydantic.ValidationError for what is no such value."""
        return self._adapter.validate_json(text)

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._cls)


SPEC = Codec(ItemSpec)
FAILURE = Codec(Failure)
ARTIFACT = Codec(Artifact)
STEPS_DONE = Codec(StepsDone)
_JOB = Codec(JobSpec)


def digest_of(spec: JobSpec) -> str:
    """SHA-256 of what a caller asked for: the same request has the same."""
    return hashlib.sha256(_JOB.dump(spec).encode()).hexdigest()
