"""Speech leaves with its manifest, and the service tells later whether a file was made here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import c2pa
import grpc
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from tests.credentials import write_chain
from tests.fakes_speech import tone
from tests.orchestrator_house import WAV, House, refused, running_house
from tests.provenance import KEY, PAYLOAD
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.files import decode_audio
from uniaudio.audio.watermark import embed
from uniaudio.cli.app import app
from uniaudio.cli.content_credentials import MANIFEST_LABEL
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


@pytest.mark.parametrize("ending", ["wav", "mp3"])
async def test_content_credentials_inside_a_file(house: House, tmp_path: Path, ending: str) -> None:
    audio, manifest, output = (tmp_path / name for name in (f"a.{ending}", "a.manifest", f"b.{ending}"))
    chain, key = write_chain(tmp_path)
    given = ("--manifest", manifest, "--chain", chain, "--key", key, "-o", output)
    assert (await run(house, "speak", "hello", "-o", audio, "--manifest", manifest)).exit_code == 0
    embedded = await run(house, "embed-manifest", audio, *given)
    assert embedded.exit_code == 0, embedded.stderr

    with (
        output.open("rb") as file,
        c2pa.Reader({"wav": "audio/wav", "mp3": "audio/mpeg"}[ending], file) as reader,
    ):
        told = json.loads(reader.json())
    assert told["validation_state"] == "Valid"
    (made,) = told["manifests"].values()
    assertions = {assertion["label"]: assertion["data"] for assertion in made["assertions"]}
    assert assertions[MANIFEST_LABEL]["jws"] == manifest.read_text().strip()
    (action,) = assertions["c2pa.actions.v2"]["actions"]
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    np.testing.assert_array_equal(decode_audio(output.read_bytes()), decode_audio(audio.read_bytes()))

    other = await run(house, "embed-manifest", output, *given[:-1], tmp_path / f"c.{ending}")
    # Of a WAV the samples count, of other files every byte.
    assert other.exit_code == (0 if ending == "wav" else 3)


async def test_files_that_take_no_credentials(house: House, tmp_path: Path) -> None:
    audio, manifest, output = tmp_path / "a.flac", tmp_path / "a.manifest", tmp_path / "b.flac"
    chain, key = write_chain(tmp_path)
    given = ("--manifest", manifest, "--chain", chain, "--key", key, "-o", output)
    assert (await run(house, "speak", "hello", "-o", audio, "--manifest", manifest)).exit_code == 0
    refused_format = await run(house, "embed-manifest", audio, *given)
    assert "write WAV or MP3" in refused_format.stderr
    assert (
        await run(house, "speak", "hello", "-o", tmp_path / "a.wav", "--manifest", manifest)
    ).exit_code == 0
    chain.write_bytes(b"no certificate")
    refused_chain = await run(house, "embed-manifest", tmp_path / "a.wav", *given)
    assert refused_chain.exit_code == 3
    assert "check the certificates" in refused_chain.stderr
    assert not output.exists()
