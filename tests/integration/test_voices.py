"""The voice registry over the wire and from the command line: kept, spoken in, taken back."""

from __future__ import annotations

import asyncio
import datetime
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from services.orchestrator.voices.policy import PromptPolicy
from tests.fakes_speech import tone
from tests.orchestrator_house import WAV, House, refused, running_house, wav
from uniaudio.audio.encode import encode_audio
from uniaudio.cli.app import app
from uniaudio.client import AsyncSpeechClient, SpeechClient, consent
from uniaudio.client.voice_files import voice_from_bytes, voice_to_bytes
from uniaudio.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from uniaudio.v1 import speech_pb2, voices_pb2, voices_pb2_grpc

AUDIO = encode_audio(tone(1.0), WAV)
AGREED = consent(
    "Ada Lovelace",
    "reading letters aloud",
    given_at=datetime.datetime(2026, 5, 3, tzinfo=datetime.UTC),
    evidence="I agree. Ada, 3 May",
)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with running_house() as house:
        yield house


@pytest.fixture
async def client(house: House) -> AsyncIterator[AsyncSpeechClient]:
    async with AsyncSpeechClient(house.address, timeout_seconds=20) as client:
        yield client


async def run(house: House, *arguments: object) -> Result:
    words = [str(argument) for argument in (*arguments, "--server", house.address)]
    return await asyncio.to_thread(CliRunner().invoke, app, words)


async def test_the_way_of_a_voice(house: House, client: AsyncSpeechClient) -> None:
    voice = await client.voices.create("ada", AUDIO, AGREED)
    assert (voice.voice_id, voice.transcript, voice.state) == (
        "ada",
        "hello world",
        voices_pb2.VOICE_STATE_ACTIVE,
    )
    assert voice.consent == AGREED
    assert await client.voices.get("ada") == voice
    assert await client.voices.create("ada", AUDIO, AGREED) == voice
    await client.voices.create("bea", AUDIO, AGREED, transcript="as I say")
    assert [one.voice_id async for one in client.voices.list()] == ["ada", "bea"]

    num_encoded = len(house.tokenizer.encoded)
    spoken = client.synthesize("good day", voice_id="ada")
    assert len(await spoken.waveform()) == 48_000
    assert len(house.tokenizer.encoded) == num_encoded
    answer = await client.verify_audio(
        encode_audio(tone(1.0), WAV), manifest=spoken.report.provenance.manifest
    )
    assert json.loads(answer.manifest_json)["voice_id"] == "ada"

    revoked = await client.voices.revoke("ada")
    assert revoked.state == voices_pb2.VOICE_STATE_REVOKED
    with pytest.raises(PermissionDeniedError, match="taken back"):
        await client.synthesize("good day", voice_id="ada").read()
    await client.voices.delete("ada")
    with pytest.raises(NotFoundError, match="no voice 'ada'"):
        await client.synthesize("good day", voice_id="ada").read()


async def test_a_voice_goes_to_another_server_and_sounds_the_same(
    house: House, client: AsyncSpeechClient
) -> None:
    await client.voices.create("ada", AUDIO, AGREED, transcript="as I say")
    kept = voice_from_bytes(voice_to_bytes(await client.voices.export("ada")))
    assert kept.voice == await client.voices.get("ada")
    assert kept.latents_for((await client.info()).tokenizer.revision).shape == (50, 4)
    async with running_house() as other, AsyncSpeechClient(other.address, timeout_seconds=20) as there:
        voice = await there.voices.restore(kept, voice_id="ada-again")
        assert (voice.transcript, voice.consent) == ("as I say", AGREED)
        again = await there.voices.export("ada-again")
        assert again.audio == kept.audio
        # Not to the bit: what is kept of a recording is 16-bit FLAC.
        np.testing.assert_allclose(again.latents, kept.latents, atol=1e-4)


async def test_pages_and_refusals(house: House, client: AsyncSpeechClient) -> None:
    for number in range(3):
        await client.voices.create(f"v{number}", AUDIO, AGREED, transcript="so")
    stub = voices_pb2_grpc.VoiceServiceStub(house.channel)
    page = await stub.ListVoices(voices_pb2.ListVoicesRequest(page_size=2), timeout=20)
    assert page.next_page_token == "v1"
    await refused(
        stub.ListVoices(voices_pb2.ListVoicesRequest(page_size=-1), timeout=20),
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_INPUT",
    )
    without = voices_pb2.CreateVoiceRequest(voice_id="x", audio=wav(1.0))
    await refused(
        stub.CreateVoice(without, timeout=20),
        grpc.StatusCode.INVALID_ARGUMENT,
        "CONSENT_INCOMPLETE",
        "who gave it",
    )
    other = voices_pb2.CreateVoiceRequest(voice_id="v0", audio=wav(2.0), consent=AGREED)
    await refused(stub.CreateVoice(other, timeout=20), grpc.StatusCode.FAILED_PRECONDITION, "VOICE_EXISTS")


async def test_where_consent_is_needed_an_upload_is_refused() -> None:
    async with running_house(policy=PromptPolicy(uploads_allowed=False)) as house:
        request = speech_pb2.SynthesizeRequest(text="good day", prompt_audio=wav(1.0))
        await refused(
            house.stub.Synthesize(request, timeout=20),
            grpc.StatusCode.PERMISSION_DENIED,
            "CONSENT_NEEDED",
            "uniaudio voices add",
        )


async def test_the_commands(house: House, tmp_path: Path) -> None:
    recording, paper, spoken = tmp_path / "ada.wav", tmp_path / "signed.pdf", tmp_path / "out.wav"
    recording.write_bytes(AUDIO)
    paper.write_bytes(b"signed")
    agreed = ("--given-by", "Ada", "--purpose", "letters", "--given-on", "2026-05-03")
    added = await run(house, "voices", "add", "ada", recording, *agreed, "--evidence-file", paper)
    assert added.exit_code == 0, added.stderr
    assert "says 'hello world'" in added.stderr
    again = await run(house, "voices", "add", "ada", recording, *agreed, "--evidence", "her word")
    assert again.exit_code == 1
    assert "delete it first" in again.stderr

    assert "ada                  active   Ada" in (await run(house, "voices", "list")).stdout
    shown = (await run(house, "voices", "show", "ada")).stdout
    assert "consent   Ada, 2026-05-03" in shown
    assert "evidence  SHA-256" in shown
    said = await run(house, "speak", "good day", "--voice", "ada", "-o", spoken)
    assert said.exit_code == 0, said.stderr
    assert "consent record" not in said.stderr
    assert "consent record" in (await run(house, "speak", "hi", "--voice", recording, "-o", spoken)).stderr

    kept = tmp_path / "ada.safetensors"
    exported = await run(house, "voices", "export", "ada", "-o", kept)
    assert exported.exit_code == 0, exported.stderr
    assert "50 frames of tokenizer fake 000000000000" in exported.stderr
    imported = await run(house, "voices", "import", kept, "--name", "bea")
    assert imported.exit_code == 0, imported.stderr
    assert "bea: 1.0 s, says 'hello world'" in imported.stderr
    refused_file = await run(house, "voices", "import", recording)
    assert refused_file.exit_code == 3, refused_file.stderr
    assert "no exported voice" in refused_file.stderr

    assert (await run(house, "voices", "revoke", "ada")).exit_code == 0
    denied = await run(house, "speak", "good day", "--voice", "ada", "-o", spoken)
    assert denied.exit_code == 1
    assert "taken back" in denied.stderr
    assert (await run(house, "voices", "remove", "ada")).exit_code == 0
    assert (await run(house, "voices", "show", "ada")).exit_code == 3


async def test_the_synchronous_client(house: House) -> None:
    def use() -> None:
        with SpeechClient(house.address, timeout_seconds=20) as client:
            client.voices.create("ada", AUDIO, AGREED, transcript="so")
            assert [voice.voice_id for voice in client.voices.list()] == ["ada"]
            assert client.voices.get("ada").consent.given_by == "Ada Lovelace"
            client.voices.restore(client.voices.export("ada"), voice_id="bea")
            client.voices.revoke("ada")
            client.voices.delete("ada")
            assert json.loads(client.provenance_keys())["keys"]

    await asyncio.to_thread(use)


def test_a_time_needs_its_zone() -> None:
    with pytest.raises(InvalidInputError, match="time zone"):
        consent("Ada", "letters", given_at=datetime.datetime(2026, 5, 3))  # noqa: DTZ001 - that is the mistake
