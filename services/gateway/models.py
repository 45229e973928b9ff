"""`/v1/models`: the one model, by its own name."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from services.gateway.document import answered
from services.gateway.neighbours import Caller, CallerDep
from uniaudio.errors import NotFoundError

router = APIRouter(prefix="/v1/models", tags=["models"])

ALIAS = "uniaudio"
"""What the model is called, whichever is loaded."""
# Tools that let nobody choose send these.
_OPENAI_NAMES = (
    "whisper-1",
    "gpt-4o-transcribe",
    "gpt-4o-mini-transcribe",
    "tts-1",
    "tts-1-hd",
    "gpt-4o-mini-tts",
)
_EXAMPLE = {
    "id": "uniaudio-nano",
    "object": "model",
    "created": 0,
    "owned_by": "uniaudio",
    "revision": "0123456789ab",
    "trained": True,
    "notice": "",
    "version": "0.1.0",
    "sample_rate": 16000,
    "max_audio_seconds": 3600.0,
    "max_audio_bytes": 67108864,
    "max_text_characters": 20000,
}


@router.get("", responses=answered({"object": "list", "data": [_EXAMPLE]}))
async def list_models(caller: CallerDep) -> dict[str, Any]:
    """The model that is loaded."""
    return {"object": "list", "data": [await _described(caller)]}


@router.get("/{model}", responses=answered(_EXAMPLE))
async def get_model(model: str, caller: CallerDep) -> dict[str, Any]:
    """One model; 404 for any other name."""
    described = await _described(caller)
    check_model(model, described["id"])
    return described


def check_model(asked: str, loaded: str | None = None) -> None:
    """Raises NotFoundError for a name that is not this model's; `loaded` is its own, where it is known."""
    known = [name for name in (loaded, ALIAS, *_OPENAI_NAMES) if name]
    if asked not in known and not (loaded is None and asked.startswith(f"{ALIAS}-")):
        raise NotFoundError(
            f"there is no model {asked!r}; use {ALIAS!r}, which is the one that is loaded (GET /v1/models)",
            reason="MODEL_NOT_FOUND",
            field="model",
            value=asked,
            limit=", ".join(known),
            remedy=f"use {ALIAS!r}",
        )


async def _described(caller: Caller) -> dict[str, Any]:
    info = await caller.answer(caller.speech.info())
    return {
        "id": info.model.name or ALIAS,
        "object": "model",
        "created": 0,
        "owned_by": "uniaudio",
        "revision": info.model.revision,
        "trained": info.model.trained,
        "notice": info.model.notice,
        "version": info.version,
        "sample_rate": info.sample_rate,
        "max_audio_seconds": info.max_audio_seconds,
        "max_audio_bytes": info.max_audio_bytes,
        "max_text_characters": info.max_text_characters,
    }
