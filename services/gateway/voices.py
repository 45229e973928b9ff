"""`/v1/audio/voices`: voices that may be imitated, each with the consent of who speaks in it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile

from services.gateway.events import as_json
from services.gateway.neighbours import CallerDep
from services.gateway.uploads import read_upload
from uniaudio.client import Voice, consent

router = APIRouter(prefix="/v1/audio/voices", tags=["voices"])


@router.post("", status_code=201)
async def create_voice(
    caller: CallerDep,
    name: Annotated[str, Form(description="Small letters, digits and hyphens, a letter first.")],
    audio_sample: Annotated[UploadFile, File(description="Clean speech of one person, 0.5 to 30 s.")],
    given_by: Annotated[str, Form(description="Who agreed: the person who speaks.")],
    given_at: Annotated[datetime, Form(description="When, with its zone.")],
    purpose: Annotated[str, Form(description="What for.")],
    transcript: Annotated[str, Form(description="What it says; heard if empty.")] = "",
    evidence: Annotated[str, Form(description="What was said or signed, in words.")] = "",
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


@router.get("")
async def list_voices(caller: CallerDep) -> dict[str, Any]:
    """Your voices, by name."""

    async def voices() -> list[dict[str, Any]]:
        return [_told(voice) async for voice in caller.speech.voices.list()]

    return {"object": "list", "data": await caller.answer(voices())}


@router.get("/{name}")
async def get_voice(name: str, caller: CallerDep) -> dict[str, Any]:
    """One voice."""
    return _told(await caller.answer(caller.speech.voices.get(name)))


@router.post("/{name}/revoke")
async def revoke_voice(name: str, caller: CallerDep) -> dict[str, Any]:
    """Takes consent back: the voice is never imitated again, and its audio is removed."""
    return _told(await caller.answer(caller.speech.voices.revoke(name)))


@router.delete("/{name}")
async def delete_voice(name: str, caller: CallerDep) -> dict[str, Any]:
    """Removes a voice, its audio and its record."""
    await caller.answer(caller.speech.voices.delete(name))
    return {"id": name, "object": "voice.deleted", "deleted": True}


def _told(voice: Voice) -> dict[str, Any]:
    told = as_json(voice)
    return {"id": voice.voice_id, "object": "voice", "name": voice.voice_id, **told}
