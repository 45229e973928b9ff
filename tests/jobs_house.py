"""The jobs' stores on one database, with a clock that tests turn."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from services.orchestrator.jobs.codec import StepsDone
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.limits import Patience, Quota, Retention
from services.orchestrator.jobs.model import Artifact, EditStep, Failure, ItemSpec, JobSpec
from services.orchestrator.jobs.recording_store import RecordingStore
from services.orchestrator.jobs.store import Created, JobStore, new_job
from services.orchestrator.jobs.sweep_store import SweepStore
from services.orchestrator.jobs.tables import METADATA
from services.orchestrator.jobs.work import Claim, Succeeded, WorkStore
from uniaudio.audio.formats import AudioFormat


@dataclass
class TurnedClock:
    """Seconds since 1970, as a test says."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class JobsHouse:
    """Everything that reads and writes the tables."""

    url: str = "sqlite://"
    clock: TurnedClock = field(default_factory=TurnedClock)
    quota: Quota = field(default_factory=Quota)
    retention: Retention = field(default_factory=Retention)
    patience: Patience = field(
        default_factory=lambda: Patience(lease_seconds=30, max_attempts=4, max_crashes=3)
    )

    def __post_init__(self) -> None:
        self.database = Database(self.url, clock=self.clock)
        with self.database.transaction() as connection:
            METADATA.create_all(connection)
        self.jobs = JobStore(
            self.database, quota=self.quota, retention=self.retention, patience=self.patience
        )
        self.recordings = RecordingStore(self.database, quota=self.quota, retention=self.retention)
        self.work = WorkStore(self.database, patience=self.patience)
        self.sweep = SweepStore(self.database, patience=self.patience, retention=self.retention)

    def recording(self, caller: str = "ada", content: bytes = b"RIFF") -> str:
        """The id of a recording that is ready."""
        sha256 = hashlib.sha256(content).hexdigest()
        recording, _ = self.recordings.announce(
            caller, AudioFormat(), sha256=sha256, size_bytes=len(content), audio_seconds=1.0
        )
        return self.recordings.arrived(recording, f"{recording.folder}/a").recording_id

    def create(self, caller: str = "ada", request_id: str = "r1", *, items: int = 1, steps: int = 1) -> str:
        """The id of a job that is stored."""
        (created,) = self.jobs.create([new_job(caller, request_id, self.spec(caller, items, steps))])
        assert isinstance(created, Created), created
        return created.job_id

    def spec(self, caller: str = "ada", items: int = 1, steps: int = 1) -> JobSpec:
        """A job over one recording."""
        chain = tuple(EditStep(instruction=f"make it {10 + n}% faster") for n in range(steps))
        item = ItemSpec(recording_id=self.recording(caller), steps=chain)
        return JobSpec(items=(item,) * items)

    def claim(self, job_id: str, index: int = 0, holder: str = "w", *, alone: bool = False) -> Claim:
        """A claim that is had."""
        (claim,) = self.work.claim([(job_id, index)], holder, alone=alone)
        assert isinstance(claim, Claim), claim
        return claim

    def close(self) -> None:
        self.database.close()


def success(claim: Claim, content: str = "") -> Succeeded:
    """A result that tells which claim made it."""
    job_id, index = claim.key
    artifact = Artifact(
        object_key=f"jobs/{job_id}/{index}/{content or claim.token}",
        format=AudioFormat(),
        size_bytes=10,
        sha256="0" * 64,
        audio_seconds=1.0,
    )
    return Succeeded(claim, StepsDone(), artifact)


FAULT = Failure(kind="UnavailableError", reason="UNAVAILABLE", message="away", metadata={"value": "away"})


def file_url(folder: Path) -> str:
    """A SQLite database in a folder."""
    return f"sqlite:///{folder / 'jobs.sqlite3'}"
