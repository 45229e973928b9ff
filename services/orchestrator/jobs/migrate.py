"""Brings the jobs' database to the version that this program needs.

A version only adds (tables, columns that may be empty, indexes): the program of the version before goes on
working while a cluster rolls, and what a later version no longer needs is dropped one version after that.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from services.orchestrator.jobs.database import Database
from uniaudio.errors import StartupError

_SCRIPTS = Path(__file__).parent / "migrations"
_ADVISORY_LOCK = 0x756E6961  # any number of our own: two that migrate at once wait for each other


def migrate(database: Database) -> None:
    """Runs what is missing, in one transaction; nothing where the database is up to date."""
    with database.transaction() as connection:
        if not database.is_embedded:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_migrated(database: Database) -> None:
    """Raises StartupError where the database lacks what this program needs; a newer version only has more."""
    with database.transaction() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    scripts = ScriptDirectory.from_config(_config())
    wanted = scripts.get_current_head()
    older = {script.revision for script in scripts.walk_revisions()} - {wanted}
    if found is None or found in older:
        raise StartupError(
            f"the jobs' database has version {found or 'none'}, this program needs {wanted}; "
            "run python -m services.orchestrator.migrate",
            reason="DATABASE_VERSION",
            value=found or "none",
            limit=wanted,
            remedy="run python -m services.orchestrator.migrate",
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    return config
