"""Voices over HTTP before the real registry: kept with consent, spoken in, moved as a file, taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx2 as httpx
import pytest

from tests.fakes_speech import tone
from tests.gateway_house import WAV as SILENCE
from tests.gateway_house import error_of, running_gateway
from tests.orchestrator_house import WAV, House
from uniaudio.audio.encode import encode_audio
from uniaudio.client.voice_files import MAX_FILE_BYTES, voice_from_bytes, voice_to_bytes
from uniaudio.v1 import audio_pb2

RECORDING = encode_audio(tone(1.0), WAV)
AGREED = {
    "given_by": "Ada Lovelace",
    "given_at": "2026-05-03T00:00:00Z",
    "purpose": "reading letters aloud",
    "evidence": "I agree. Ada, 3 May",
}


@pytest.fixture
async def http(house: House) -> AsyncIterator[httpx.AsyncClient]:
    with running_gateway(house.address) as address:
        async with httpx.AsyncClient(base_url=address, timeout=20) as client:
            yield client


async def create(http: httpx.AsyncClient, name: str = "ada", **changed: str) -> httpx.Response:
    return await http.post(
        "/v1/audio/voices",
        files={"audio_sample": ("ada.wav", RECORDING)},
        data={"name": name, **AGREED, **changed},
    )


async def test_the_way_of_a_voice(http: httpx.AsyncClient) -> None:
    created = await create(http)
    assert created.status_code == 201
    voice = created.json()
    assert (voice["id"], voice["object"], voice["transcript"]) == ("ada", "voice", "hello world")
    assert voice["consent"]["given_by"] == "Ada Lovelace"
    assert (await http.get("/v1/audio/voices/ada")).json() == voice
    assert (await http.get("/v1/audio/voices")).json()["data"] == [voice]
    order = {"input": "good day", "voice": "ada", "response_format": "wav"}
    assert (await http.post("/v1/audio/speech", json=order)).status_code == 200
    revoked = await http.post("/v1/audio/voices/ada/revoke")
    assert revoked.json()["state"] == "VOICE_STATE_REVOKED"
    denied = await http.post("/v1/audio/speech", json=order)
    assert (denied.status_code, error_of(denied)["code"]) == (403, "consent_revoked")
    assert (await http.delete("/v1/audio/voices/ada")).json()["deleted"] is True
    assert (await http.get("/v1/audio/voices/ada")).status_code == 404


async def test_a_voice_moves_as_a_file(http: httpx.AsyncClient) -> None:
    voice = (await create(http, transcript="as I say")).json()
    exported = await http.get("/v1/audio/voices/ada/export")
    assert exported.headers["content-disposition"] == 'attachment; filename="ada.safetensors"'
    imported = await http.post(
        "/v1/audio/voices/import",
        files={"file": ("ada.safetensors", exported.content)},
        data={"name": "ada-again"},
    )
    assert imported.status_code == 201
    again = imported.json()
    assert (again["id"], again["transcript"], again["warnings"]) == ("ada-again", "as I say", [])
    assert again["consent"] == voice["consent"]


async def test_a_voice_of_another_tokenizer_is_prepared_anew_and_told(http: httpx.AsyncClient) -> None:
    await create(http)
    kept = voice_from_bytes((await http.get("/v1/audio/voices/ada/export")).content)
    elsewhere = replace(kept, tokenizer=audio_pb2.ModelInfo(name="other", revision="fedcba987654"))
    files = {"file": ("ada.safetensors", voice_to_bytes(elsewhere))}
    imported = await http.post("/v1/audio/voices/import", files=files, data={"name": "bea"})
    (warning,) = imported.json()["warnings"]
    assert "of tokenizer fedcba987654, here of 000000000000" in warning


@pytest.mark.parametrize(
    ("content", "code"), [(SILENCE, "no_exported_voice"), (bytes(MAX_FILE_BYTES + 1), "limit_exceeded")]
)
async def test_what_is_no_export_is_refused(house: House, content: bytes, code: str) -> None:
    with running_gateway(house.address, max_body_bytes=2 * MAX_FILE_BYTES) as address:
        async with httpx.AsyncClient(base_url=address, timeout=20) as http:
            refused = await http.post("/v1/audio/voices/import", files={"file": ("a.safetensors", content)})
    assert (refused.status_code, error_of(refused)["code"]) == (400, code)


async def test_a_voice_without_consent_is_neither_kept_nor_exported(http: httpx.AsyncClient) -> None:
    refused = await create(http, evidence="")
    assert (refused.status_code, error_of(refused)["code"]) == (400, "consent_incomplete")
    missing = await http.get("/v1/audio/voices/ada/export")
    assert missing.status_code == 404
    await create(http)
    await http.post("/v1/audio/voices/ada/revoke")
    denied = await http.get("/v1/audio/voices/ada/export")
    assert (denied.status_code, error_of(denied)["code"]) == (403, "consent_revoked")
