"""A voice registry on a database in a folder and an object store in memory, with a clock that tests turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from services.orchestrator.domain import Recording
from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.tables import METADATA
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.voices.model import Consent
from services.orchestrator.voices.objects import VoiceObjects
from services.orchestrator.voices.registry import NewVoice, VoiceRegistry
from services.orchestrator.voices.store import VoiceStore
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, reading, tone
from tests.jobs_house import TurnedClock
from tests.memory_store import MemoryStore
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat

CONSENT = Consent(
    given_by="Ada Lovelace", given_at=900_000.0, purpose="reading letters aloud", evidence="I agree. Ada"
)


def new_voice(
    voice_id: str = "ada", *, seconds: float = 1.0, transcript: str = "", **consent: object
) -> NewVoice:
    """A voice with its consent, `consent` changed as told."""
    content = encode_audio(tone(seconds), AudioFormat(encoding=AudioEncoding.WAV))
    told = {**vars(CONSENT), **consent}
    return NewVoice(
        voice_id=voice_id, audio=Recording(content=content), transcript=transcript, consent=Consent(**told)
    )


@dataclass
class VoicesHouse:
    """Everything behind VoiceService, before faked neighbours."""

    folder: Path
    tokenizer: FakeTokenizer = field(default_factory=FakeTokenizer)
    model: FakeLanguageModel = field(default_factory=lambda: FakeLanguageModel(reading()))
    objects: MemoryStore = field(default_factory=MemoryStore)
    clock: Callable[[], float] = field(default_factory=TurnedClock)

    def __post_init__(self) -> None:
        self.database = Database(f"sqlite:///{self.folder}/voices.db", clock=self.clock)
        with self.database.transaction() as connection:
            METADATA.create_all(connection)
        self.store = VoiceStore(self.database)
        self.registry = self.another_replica()

    def another_replica(self) -> VoiceRegistry:
        """A registry with nothing in its memory, over the same stores."""
        transcriber = Transcriber(self.tokenizer, self.model)
        return VoiceRegistry(
            self.store, VoiceObjects(self.objects), self.tokenizer, transcriber, clock=self.clock
        )

    def close(self) -> None:
        """Closes the database."""
        self.database.close()
