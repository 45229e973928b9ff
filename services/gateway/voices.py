"""`/v1/audio/voices`: voices that may be imitated, each with the consent of who speaks in it."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import Response

from services.gateway.document import answered
from services.gateway.events import as_json
from services.gateway.neighbours import CallerDep
from services.gateway.uploads import read_upload
from uniaudio.client import Voice, consent
from uniaudio.client.voice_files import MAX_FILE_BYTES, voice_from_bytes, voice_to_bytes

router = APIRouter(prefix="/v1/audio/voices", tags=["voices"])

_SAFETENSORS = "application/octet-stream"
_EXAMPLE = {
    "id": "ada",
    "object": "voice",
    "name": "ada",
    "voice_id": "ada",
    "transcript": "The engine weaves patterns.",
    "audio_seconds": 4.2,
    "audio_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "state": "VOICE_STATE_ACTIVE",
    "create_time": "2026-05-03T10:00:00Z",
    "consent": {
        "given_by": "Ada Lovelace",
        "give_time": "2026-05-03T00:00:00Z",
        "purpose": "reading letters aloud",
        "evidence": "I agree. Ada, 3 May",
        "evidence_sha256": "",
    },
}


@router.post("", status_code=201, responses=answered(_EXAMPLE, status=201))
async def create_voice(
    caller: CallerDep,
    name: Annotated[
        str, Form(description="Small letters, digits and hyphens, a letter first.", examples=["ada"])
    ],
    audio_sample: Annotated[UploadFile, File(description="Clean speech of one person, 0.5 to 30 s.")],
    given_by: Annotated[
        str, Form(description="Who agreed: the person who speaks.", examples=["Ada Lovelace"])
    ],
    given_at: Annotated[
        datetime, Form(description="When, with its zone.", examples=["2026-05-03T00:00:00Z"])
    ],
    purpose: Annotated[str, Form(description="What for.", examples=["reading letters aloud"])],
    transcript: Annotated[str, Form(description="What it says; heard if empty.")] = "",
    evidence: Annotated[
        str, Form(description="What was said or signed, in words.", examples=["I agree. Ada, 3 May"])
    ] = "",
    evidence_sha256: Annotated[str, Form(description="Or the hash of a document that you keep.")] = "",
    expires_at: Annotated[datetime | None, Form(description="Until when; for ever if empty.")] = None,
) -> dict[str, Any]:
    """Keeps a voice and prepares it, so that speech in it begins sooner."""
    content = await read_upload(audio_sample)
    agreed = consent(
        given_by=given_by,
        given_at=given_at,
        purpose=purpose,
        evidence=evidence,
        evidence_sha256=evidence_sha256,
        expires_at=expires_at,
    )
    return _told(
        await caller.answer(caller.speech.voices.create(name, content, agreed, transcript=transcript))
    )


@router.get("", responses=answered({"object": "list", "data": [_EXAMPLE]}))
async def list_voices(caller: CallerDep) -> dict[str, Any]:
    """Your voices, by name."""

    async def voices() -> list[dict[str, Any]]:
        return [_told(voice) async for voice in caller.speech.voices.list()]

    return {"object": "list", "data": await caller.answer(voices())}


@router.post("/import", status_code=201, responses=answered({**_EXAMPLE, "warnings": []}, status=201))
async def import_voice(
    caller: CallerDep,
    file: Annotated[
        UploadFile, File(description="What an export wrote, here or by `uniaudio voices export`.")
    ],
    name: Annotated[
        str, Form(description="Another name than the one in the file.", examples=["ada-again"])
    ] = "",
) -> dict[str, Any]:
    """Keeps a voice from its export, under the same consent; it is prepared anew from its recording."""
    exported = await asyncio.to_thread(voice_from_bytes, await file.read(MAX_FILE_BYTES + 1))

    async def restored() -> dict[str, Any]:
        voice = await caller.speech.voices.restore(exported, voice_id=name)
        notice = exported.notice_at((await caller.speech.info()).tokenizer)
        return {**_told(voice), "warnings": [notice] if notice else []}

    return await caller.answer(restored())


@router.get("/{name}", responses=answered(_EXAMPLE))
async def get_voice(name: str, caller: CallerDep) -> dict[str, Any]:
    """One voice."""
    return _told(await caller.answer(caller.speech.voices.get(name)))


@router.get(
    "/{name}/export",
    response_class=Response,
    responses={200: {"content": {_SAFETENSORS: {}}, "description": "The file."}},
)
async def export_voice(name: str, caller: CallerDep) -> Response:
    """The voice as one safetensors file: its recording, its consent, and what the model continues in it."""
    exported = await caller.answer(caller.speech.voices.export(name))
    content = await asyncio.to_thread(voice_to_bytes, exported)
    return Response(
        content,
        media_type=_SAFETENSORS,
        headers={"Content-Disposition": f'attachment; filename="{exported.voice.voice_id}.safetensors"'},
    )


@router.post("/{name}/revoke", responses=answered({**_EXAMPLE, "state": "VOICE_STATE_REVOKED"}))
async def revoke_voice(name: str, caller: CallerDep) -> dict[str, Any]:
    """Takes consent back: the voice is never imitated again, and its audio is removed."""
    return _told(await caller.answer(caller.speech.voices.revoke(name)))


@router.delete("/{name}", responses=answered({"id": "ada", "object": "voice.deleted", "deleted": True}))
async def delete_voice(name: str, caller: CallerDep) -> dict[str, Any]:
    """Removes a voice, its audio and its record."""
    await caller.answer(caller.speech.voices.delete(name))
    return {"id": name, "object": "voice.deleted", "deleted": True}


def _told(voice: Voice) -> dict[str, Any]:
    told = as_json(voice)
    return {"id": voice.voice_id, "object": "voice", "name": voice.voice_id, **told}
