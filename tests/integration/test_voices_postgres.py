"""Voices on the database of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.migrate import migrate
from services.orchestrator.voices.model import Voice
from services.orchestrator.voices.store import VoiceStore
from tests.postgres_server import PostgresServer
from tests.voices_house import CONSENT
from uniaudio.audio.formats import AudioFormat
from uniaudio.errors import NotFoundError


@pytest.fixture
def store(free_port: Callable[[], int]) -> Iterator[VoiceStore]:
    server = PostgresServer(free_port())
    server.start()
    database = Database(server.url)
    migrate(database)
    yield VoiceStore(database)
    database.close()
    server.stop()


def voice(voice_id: str) -> Voice:
    return Voice(
        caller="ada",
        voice_id=voice_id,
        transcript="so",
        format=AudioFormat(),
        audio_seconds=1.0,
        audio_sha256="0" * 64,
        consent=CONSENT,
        folder=f"voices/{voice_id}",
        created_at=1_000_000.25,
    )


def test_the_way_of_a_voice(store: VoiceStore) -> None:
    kept = [store.add(voice(name)) for name in ("ada", "b-a", "ba")]
    assert store.add(voice("ada")) == kept[0] == store.get("ada", "ada")
    assert [one.voice_id for one in store.list("ada", after="", limit=9)] == ["ada", "b-a", "ba"]
    assert [one.voice_id for one in store.list("ada", after="b-a", limit=9)] == ["ba"]
    folders = [one.folder for one in kept]
    assert store.usable_folders(folders, 0.0) == set(folders)
    assert store.revoke("ada", "ada", 1_000_001.5).revoked_at == 1_000_001.5
    assert store.usable_folders(folders, 0.0) == {"voices/b-a", "voices/ba"}
    assert store.delete("ada", "ada") is not None
    assert store.delete("ada", "ada") is None
    with pytest.raises(NotFoundError):
        store.get("ada", "ada")
