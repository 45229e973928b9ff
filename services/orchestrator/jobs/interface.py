"""What callers can do with jobs: the surface that the servicer stands before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Protocol

from services.orchestrator.jobs.model import Artifact, Job, JobPage, JobQuery, JobSpec, Recording
from uniaudio.audio.formats import AudioFormat


class JobService(Protocol):
    """Recordings and jobs of many callers; each sees its own, all others are NotFoundError.

    Every method raises UnavailableError while the database or the object store is away, and nothing of it
    has happened then, or all of it: every one may be repeated.
    """

    async def upload(
        self, caller: str, format: AudioFormat, chunks: AsyncIterable[bytes], *, sha256: str = ""
    ) -> Recording:
        """Stores a recording piece by piece, in bounded memory.

        Raises InvalidAudioError and LimitExceededError for what is no recording or too large,
        InvalidInputError where `sha256` (hex, of all bytes) differs, QueueFullError above the caller's bytes.
        """
        ...

    async def create(self, caller: str, request_id: str, spec: JobSpec) -> Job:
        """The job with its items, stored; the same request again gives the same job.

        Raises PreconditionError (REQUEST_ID_REUSED) where the id was used for something else, NotFoundError
        for a recording that is not the caller's, QueueFullError above the caller's jobs or items, and
        InvalidInputError or one of its kinds for what a look at the request shows to be wrong.
        """
        ...

    async def check_ready(self) -> None:
        """Returns when jobs could be accepted now; raises UnavailableError otherwise."""
        ...

    async def get(self, caller: str, job_id: str) -> Job:
        """The job with all its items."""
        ...

    async def list(self, caller: str, query: JobQuery) -> JobPage:
        """The caller's jobs, newest first, without their items; InvalidInputError for a wrong token."""
        ...

    async def cancel(self, caller: str, job_id: str) -> Job:
        """Ends what has not ended; the job with all its items. One that has ended is answered as it is."""
        ...

    async def delete(self, caller: str, job_id: str) -> None:
        """Cancels the job where it has not ended, and removes it with its results."""
        ...

    def watch(self, caller: str, job_id: str, *, after_revision: int = 0) -> AsyncGenerator[Job, None]:
        """The job with the items that changed after a revision, as it changes; ends after its end.

        Raises NotFoundError when it is deleted meanwhile.
        """
        ...

    async def result(self, caller: str, job_id: str, index: int) -> Artifact:
        """What an item made; NotFoundError for no such item, PreconditionError where it did not succeed."""
        ...

    def read_result(self, artifact: Artifact, *, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """The bytes of a result from `offset` on, in pieces; InvalidInputError for an offset beyond its end."""
        ...
