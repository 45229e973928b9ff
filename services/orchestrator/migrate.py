"""Brings the jobs' database to this version: `python -m services.orchestrator.migrate`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.migrate import migrate
from services.orchestrator.jobs.settings import JobsSettings
from services.orchestrator.settings import PROCESS_NAME
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.settings import read_settings, settings_parser


def main(arguments: Sequence[str] | None = None) -> int:
    """0 once the database has the version that this program needs."""
    description = "Brings the jobs' database to the version that this program needs."
    settings_parser("python -m services.orchestrator.migrate", description, JobsSettings).parse_args(
        arguments
    )
    setup_logging(PROCESS_NAME)
    log = get_logger(__name__)
    try:
        database = Database(read_settings(JobsSettings).database_url)
        try:
            migrate(database)
        finally:
            database.close()
    except UniaudioError as error:
        log.error("cannot migrate", reason=error.reason, error=error.message)
        return 1
    log.info("migrated")
    return 0


if __name__ == "__main__":
    sys.exit(main())
