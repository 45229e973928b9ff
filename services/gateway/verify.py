"""`/v1/audio/verify`: whether a recording was made here: its watermark, and its signed manifest."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form

from services.gateway.document import answered
from services.gateway.events import as_json
from services.gateway.neighbours import CallerDep
from services.gateway.uploads import Recording, read_upload

router = APIRouter(prefix="/v1/audio/verify", tags=["verify"])


_EXAMPLE = {
    "object": "audio.verification",
    "watermark": {"found": True, "false_alarm_probability": 1e-12, "key_id": "5c1f0a9e", "payload": 0},
    "manifest_verdict": "MANIFEST_VERDICT_VALID",
    "manifest_detail": "",
}


@router.post("", responses=answered(_EXAMPLE))
async def verify(
    caller: CallerDep,
    file: Recording,
    manifest: Annotated[str, Form(description="The manifest that came with it, if there is one.")] = "",
) -> dict[str, Any]:
    """What the recording's watermark and manifest say."""
    content = await read_upload(file)
    answer = await caller.answer(caller.speech.verify_audio(content, manifest=manifest))
    return {"object": "audio.verification", **as_json(answer)}
