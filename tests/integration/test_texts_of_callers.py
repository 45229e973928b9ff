"""Every text that a caller can send for keeps, on both databases: refused by its name, or kept as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.orchestrator.admission import Admission
from services.orchestrator.job_servicer import EditJobServicer
from services.orchestrator.jobs.desk import JobDesk
from services.orchestrator.jobs.transitions import ItemKey
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.voices.objects import VoiceObjects
from services.orchestrator.voices.registry import VoiceRegistry
from services.orchestrator.voices.servicer import VoiceServicer
from services.orchestrator.voices.store import VoiceStore
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, reading, tone
from tests.jobs_house import JobsHouse, TurnedClock, file_url
from tests.memory_store import MemoryStore
from tests.postgres_server import PostgresServer
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import audio_pb2, jobs_pb2, voices_pb2

NUL = "a\0b"
ODD = "'\"\\ %s {} ; -- \x01\x1f \u2028\u202e\ufeff\ufffe \ud7ff\U0001f3a4\U0010ffff"
SPOKEN = encode_audio(tone(1.0), AudioFormat(encoding=AudioEncoding.WAV))


class Nobody:
    """No worker hears of an item."""

    async def send(self, keys: Sequence[ItemKey]) -> None:
        """See Dispatcher."""

    async def close(self) -> None:
        """See Dispatcher."""


class Doors:
    """Both services that keep what callers say."""

    def __init__(self, house: JobsHouse) -> None:
        places = Admission(max_running=1, max_waiting=0, max_wait_seconds=1)
        tokenizer, model, objects = FakeTokenizer(), FakeLanguageModel(reading()), MemoryStore()
        desk = JobDesk(house.jobs, house.recordings, objects, Nobody())
        registry = VoiceRegistry(
            VoiceStore(house.database),
            VoiceObjects(objects),
            tokenizer,
            Transcriber(tokenizer, model),
            clock=TurnedClock(),
        )
        self.jobs = EditJobServicer(desk, lambda: "ada", transfers=places, watches=places)
        self.voices = VoiceServicer(registry, lambda: "ada", places)
        self.recording_id = house.recording()

    async def send(self, request: Message) -> Message:
        """The first answer, as over the wire."""
        name = type(request).__name__.removesuffix("Request")
        answer = getattr(self.voices if "Voice" in name else self.jobs, name)(request, None)
        return await anext(answer) if hasattr(answer, "__anext__") else await answer


@pytest.fixture(params=["sqlite", "postgresql"])
def doors(request: pytest.FixtureRequest, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Doors]:
    server = PostgresServer(free_port()) if request.param == "postgresql" else None
    if server:
        server.start()
    house = JobsHouse(server.url if server else file_url(tmp_path))
    yield Doors(house)
    house.close()
    if server:
        server.stop()


def job(recording_id: str, text: str = "so") -> jobs_pb2.CreateEditJobRequest:
    step = jobs_pb2.EditStep(instruction="make it 20% faster", transcript=text)
    spec = jobs_pb2.EditJobItemSpec(recording_id=recording_id, edits=[step], label=text)
    return jobs_pb2.CreateEditJobRequest(request_id="one", items=[spec])


def voice(text: str = "so") -> voices_pb2.CreateVoiceRequest:
    consent = voices_pb2.Consent(
        given_by=text,
        purpose=text,
        evidence=text,
        evidence_sha256="0" * 64,
        give_time=Timestamp(seconds=900_000),
    )
    return voices_pb2.CreateVoiceRequest(
        request_id="one",
        voice_id="ada",
        audio=audio_pb2.Audio(content=SPOKEN),
        transcript=text,
        consent=consent,
    )


def texts_of(message: Message) -> Iterator[tuple[Message, str]]:
    """Each text that a message has, in whatever is inside it: its message and its name."""
    for field in message.DESCRIPTOR.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield message, field.name
        elif field.type == FieldDescriptor.TYPE_MESSAGE:
            value = getattr(message, field.name)
            for part in value if field.is_repeated else [value]:
                yield from texts_of(part)


async def refused_texts(doors: Doors, original: Message) -> dict[str, InvalidInputError]:
    """What is said of each text of a message with a NUL character in it."""
    refusals = {}
    for number, (_, name) in enumerate(list(texts_of(original))):
        request = type(original).FromString(original.SerializeToString())
        place, name = list(texts_of(request))[number]
        setattr(place, name, NUL)
        with pytest.raises(InvalidInputError) as caught:
            await doors.send(request)
        assert caught.value.metadata["remedy"], name
        refusals[name] = caught.value
    return refusals


async def test_a_character_that_one_database_cannot_keep_is_refused_by_both(doors: Doors) -> None:
    for original in (job(doors.recording_id), voice()):
        refusals = await refused_texts(doors, original)
        assert {name for name, error in refusals.items() if name not in error.message} <= {"recording_id"}
    for name in ("GetEditJob", "CancelEditJob", "DeleteEditJob", "WatchEditJob", "DownloadEditResult"):
        assert await refused_texts(doors, getattr(jobs_pb2, f"{name}Request")())
    for name in ("GetVoice", "RevokeVoice", "DeleteVoice", "ListVoices"):
        assert await refused_texts(doors, getattr(voices_pb2, f"{name}Request")())
    assert await refused_texts(doors, jobs_pb2.ListEditJobsRequest())


async def test_every_other_character_is_kept(doors: Doors) -> None:
    created = await doors.send(job(doors.recording_id, ODD))
    kept = (await doors.send(jobs_pb2.GetEditJobRequest(job_id=created.job.job_id))).job.items[0].spec
    assert (kept.label, kept.edits[0].transcript) == (ODD, ODD)
    await doors.send(voice(ODD))
    found = (await doors.send(voices_pb2.GetVoiceRequest(voice_id="ada"))).voice
    assert (found.transcript, found.consent.given_by, found.consent.evidence) == (ODD.strip(), ODD, ODD)
