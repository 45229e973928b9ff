"""Speech leaves with its manifest, and the service tells later whether a file was made here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.fakes_speech import tone
from tests.orchestrator_house import WAV, House, refused, running_house
from tests.provenance import KEY, PAYLOAD
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.watermark import embed
from uniaudio.cli.app import app
from uniaudio.client import AsyncSpeechClient
from uniaudio.v1 import audio_pb2, provenance_pb2, provenance_pb2_grpc


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


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, round(16_000 * seconds)).astype(np.float32)


async def test_spoken_and_edited_files_verify(client: AsyncSpeechClient) -> None:
    spoken = client.synthesize("hello|world", output_format="wav")
    content = await spoken.read()
    answer = await client.verify_audio(content, manifest=spoken.report.provenance.manifest)
    assert answer.manifest_verdict == provenance_pb2.MANIFEST_VERDICT_VALID
    assert answer.generated[0].end_seconds == spoken.report.audio_seconds
    assert json.loads(answer.manifest_json)["action"] == "speak"
    assert spoken.report.provenance.watermark_key_id == KEY.key_id
    keys = json.loads(await client.provenance_keys())["keys"]
    assert [key["kid"] for key in keys] == [answer.signing_key_id]

    edited = client.edit(content, "make it 6 dB louder", output_format="flac", text_in_manifest=True)
    louder = await edited.read()
    answer = await client.verify_audio(louder, manifest=edited.report.provenance.manifest)
    assert answer.manifest_verdict == provenance_pb2.MANIFEST_VERDICT_VALID
    assert json.loads(answer.manifest_json)["text"] == "make it 6 dB louder"
    assert not edited.report.provenance.watermarked
    answer = await client.verify_audio(content, manifest=edited.report.provenance.manifest)
    assert answer.manifest_verdict == provenance_pb2.MANIFEST_VERDICT_AUDIO_DIFFERS


async def test_a_watermark_is_found_without_a_manifest(client: AsyncSpeechClient) -> None:
    marked = embed(noise(3.0), KEY, payload=PAYLOAD)
    answer = await client.verify_audio(encode_audio(marked, WAV))
    assert answer.watermark.found
    assert answer.watermark.payload == PAYLOAD
    assert answer.manifest_verdict == provenance_pb2.MANIFEST_VERDICT_MISSING
    assert not (await client.verify_audio(encode_audio(noise(3.0), WAV))).watermark.found


async def test_what_cannot_be_verified_is_refused(house: House) -> None:
    stub = provenance_pb2_grpc.ProvenanceServiceStub(house.channel)
    nothing = provenance_pb2.VerifyRequest(audio=audio_pb2.Audio(content=b"no audio"))
    await refused(stub.Verify(nothing, timeout=20), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_AUDIO")
    large = provenance_pb2.VerifyRequest(manifest="x" * 70_000)
    await refused(stub.Verify(large, timeout=20), grpc.StatusCode.INVALID_ARGUMENT, "LIMIT_EXCEEDED")


async def test_the_commands(house: House, tmp_path: Path) -> None:
    audio, manifest = tmp_path / "hello.wav", tmp_path / "hello.manifest"
    spoken = await run(house, "speak", "hello", "-o", audio, "--manifest", manifest)
    assert spoken.exit_code == 0, spoken.stderr
    verified = await run(house, "verify-audio", audio, "--manifest", manifest)
    assert verified.exit_code == 0, verified.stderr
    assert "signed here, and the audio is the one that it describes" in verified.stdout
    assert "generated  0.00 - 3.00 s" in verified.stdout

    louder = tmp_path / "louder.wav"
    edited = await run(house, "edit", audio, "make it 6 dB louder", "-o", louder, "--manifest", manifest)
    assert edited.exit_code == 0, edited.stderr
    as_json = await run(house, "verify-audio", louder, "--manifest", manifest, "--json")
    # The server's own log of this process stands before it.
    assert (
        json.loads(as_json.stdout[as_json.stdout.index("{\n") :])["manifest_verdict"]
        == "MANIFEST_VERDICT_VALID"
    )

    audio.write_bytes(encode_audio(tone(1.0), WAV))
    other = await run(house, "verify-audio", audio)
    assert other.exit_code == 1
    assert "watermark  not found" in other.stdout
    audio.write_bytes(encode_audio(embed(noise(3.0), KEY, payload=PAYLOAD), WAV))
    marked = await run(house, "verify-audio", audio, "--manifest", manifest)
    assert marked.exit_code == 0
    assert f"payload {PAYLOAD}" in marked.stdout
    assert "for other audio" in marked.stdout
