"""Where jobs are kept and how many calls about them are taken: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniaudio.errors import StartupError
from uniaudio.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """Without a folder and without a database and a store, EditJobService is not served."""

    folder: Path | None = setting(
        "UNIAUDIO_JOBS_DIR", None, "Folder of what is kept on this machine: SQLite's file, and the objects."
    )
    database_url: str = setting(
        "UNIAUDIO_JOBS_DATABASE",
        "",
        "Where jobs are kept: postgresql://user@host/name or sqlite:///path; empty is a file in UNIAUDIO_JOBS_DIR.",
    )
    store_url: str = setting(
        "UNIAUDIO_JOBS_STORE",
        "",
        "Where recordings and results lie: s3://bucket/prefix or a folder; empty is one in UNIAUDIO_JOBS_DIR.",
    )
    max_watches: int = setting(
        "UNIAUDIO_JOBS_MAX_WATCHES", 256, "Watches of jobs at once.", minimum=1, maximum=10_000
    )
    max_transfers: int = setting(
        "UNIAUDIO_JOBS_MAX_TRANSFERS", 32, "Uploads and downloads at once.", minimum=1, maximum=1024
    )

    @property
    def are_served(self) -> bool:
        """Whether there is a place for jobs at all."""
        return self.folder is not None or bool(self.database_url or self.store_url)

    @property
    def database(self) -> str:
        """The database's address. Raises StartupError where there is none."""
        return self.database_url or f"sqlite:///{self._folder('UNIAUDIO_JOBS_DATABASE') / 'jobs.sqlite'}"

    @property
    def store(self) -> str:
        """The object store's address. Raises StartupError where there is none."""
        return self.store_url or str(self._folder("UNIAUDIO_JOBS_STORE") / "objects")

    def _folder(self, variable: str) -> Path:
        if self.folder is None:
            raise StartupError(
                f"neither {variable} nor UNIAUDIO_JOBS_DIR is set; set one of them, or nothing of jobs",
                variable=variable,
            )
        return self.folder.expanduser().absolute()
