"""Where jobs are kept and how much of them there may be: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from services.orchestrator.jobs.limits import Patience, Quota, Retention
from uniaudio.runtime.settings import setting

_DAY = 86_400.0
_GIB = 2**30


@dataclass(frozen=True, kw_only=True, repr=False)  # an address may hold a password
class JobsSettings:
    """Database, object store and broker of jobs. Without addresses all of it is in `folder`."""

    folder: Path = setting(
        "UNIAUDIO_JOBS_DIR",
        Path("~/.local/state/uniaudio/jobs"),
        "Folder of the embedded database and object store.",
    )
    database: str = setting(
        "UNIAUDIO_JOBS_DATABASE", "", "postgresql://user@host/name; empty is SQLite in the folder."
    )
    object_store: str = setting(
        "UNIAUDIO_JOBS_STORE", "", "s3://bucket/prefix or a folder; empty is below the jobs' folder."
    )
    broker: str = setting(
        "UNIAUDIO_JOBS_BROKER",
        "",
        "redis://host/0 or amqp://host: workers are processes of their own; empty works in this one.",
    )
    max_running: int = setting(
        "UNIAUDIO_JOBS_MAX_RUNNING", 2, "Items that a worker does at once.", minimum=1, maximum=256
    )
    max_item_seconds: float = setting(
        "UNIAUDIO_JOBS_MAX_ITEM_SECONDS",
        6 * 3600.0,
        "Longest one attempt at an item may take.",
        minimum=1,
        maximum=7 * _DAY,
    )
    lease_seconds: float = setting(
        "UNIAUDIO_JOBS_LEASE_SECONDS",
        30.0,
        "A worker that is silent for so long has lost its items.",
        minimum=0.5,
        maximum=3600,
    )
    max_attempts: int = setting(
        "UNIAUDIO_JOBS_MAX_ATTEMPTS", 10, "How often an item is tried.", minimum=1, maximum=1000
    )
    max_crashes: int = setting(
        "UNIAUDIO_JOBS_MAX_CRASHES",
        3,
        "How many workers an item may lose before it is given up.",
        minimum=1,
        maximum=100,
    )
    sweep_seconds: float = setting(
        "UNIAUDIO_JOBS_SWEEP_SECONDS", 1.0, "How often lost items are looked for.", minimum=0.05, maximum=60
    )
    keep_days: float = setting(
        "UNIAUDIO_JOBS_KEEP_DAYS",
        7.0,
        "How long jobs and results are kept after their end, where the caller says nothing.",
        minimum=0.001,
        maximum=30,
    )
    keep_recordings_days: float = setting(
        "UNIAUDIO_JOBS_KEEP_RECORDINGS_DAYS",
        1.0,
        "How long a recording is kept that no job names.",
        minimum=0.05,
        maximum=30,
    )
    quota_jobs: int = setting(
        "UNIAUDIO_JOBS_QUOTA_JOBS", 1_000, "Jobs of one caller that have not ended.", minimum=1
    )
    quota_items: int = setting(
        "UNIAUDIO_JOBS_QUOTA_ITEMS", 10_000, "Items of one caller that have not ended.", minimum=1
    )
    quota_gib: float = setting(
        "UNIAUDIO_JOBS_QUOTA_GIB", 20.0, "GiB of one caller's recordings and results.", minimum=0.001
    )

    @property
    def database_url(self) -> str:
        """Where the database is; the embedded one's folder is made where it is missing."""
        if self.database:
            return self.database
        folder = self.folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        return f"sqlite:///{folder.absolute() / 'jobs.sqlite3'}"

    @property
    def store_url(self) -> str:
        """Where the object store is."""
        return self.object_store or str(self.folder.expanduser() / "objects")

    @property
    def patience(self) -> Patience:
        """When what is tried again and when it is given up."""
        return Patience(
            lease_seconds=self.lease_seconds,
            redispatch_seconds=self.lease_seconds,
            max_attempts=self.max_attempts,
            max_crashes=self.max_crashes,
        )

    @property
    def quota(self) -> Quota:
        """Bounds on one caller."""
        return Quota(
            max_jobs=self.quota_jobs, max_items=self.quota_items, max_bytes=int(self.quota_gib * _GIB)
        )

    @property
    def retention(self) -> Retention:
        """How long what is kept."""
        return Retention(
            job_seconds=self.keep_days * _DAY, recording_seconds=self.keep_recordings_days * _DAY
        )
