"""The migrations make the table that the program reads."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.migrate import check_migrated, migrate
from services.orchestrator.voices.store import VoiceStore
from services.orchestrator.voices.tables import VOICES


def test_the_table_is_the_one_that_is_read(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/voices.db")
    migrate(database)
    check_migrated(database)
    columns = {column["name"]: column for column in inspect(database.engine).get_columns("voices")}
    assert list(columns) == [column.name for column in VOICES.columns]
    for column in VOICES.columns:
        found = columns[column.name]
        assert str(found["type"]) == str(column.type)
        assert found["nullable"] == column.nullable
        assert bool(found["primary_key"]) == column.primary_key
    assert VoiceStore(database).find("ada", "ada") is None
    database.close()
