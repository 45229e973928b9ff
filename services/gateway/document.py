"""What the OpenAPI document says beside the fields: how every refusal looks, and examples of answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

Responses = dict[int | str, dict[str, Any]]
JSON, EVENTS = "application/json", "text/event-stream"

_EXAMPLE: JsonDict = {
    "error": {
        "message": "speed cannot be 2.0 here; send the speech to /v1/audio/edits: 'make it 1.5 times faster'",
        "type": "invalid_request_error",
        "param": "speed",
        "code": "unsupported_parameter",
        "metadata": {
            "field": "speed",
            "value": "2.0",
            "limit": "1",
            "remedy": "send the speech to /v1/audio/edits: 'make it 1.5 times faster'",
        },
    }
}


class ErrorFacts(BaseModel):
    """OpenAI's fields; `metadata` names value, limit and remedy."""

    message: str
    type: str
    param: str | None
    code: str
    metadata: dict[str, str]


class ErrorAnswer(BaseModel):
    """What every refusal and every failure is told as."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    error: ErrorFacts


REFUSALS: Responses = {"default": {"model": ErrorAnswer, "description": "Refused, or failed."}}
"""For every route."""


def answered(example: object, *, status: int = 200, also: Mapping[str, object] | None = None) -> Responses:
    """A JSON answer by its example, and examples of what else it may be, by media type; None for bytes."""
    content = {JSON: {"example": example}}
    for media_type, other in (also or {}).items():
        content[media_type] = {} if other is None else {"example": other}
    return {status: {"content": content}}


def events(*written: Mapping[str, object]) -> str:
    """Server-sent events as they are written."""
    return "".join(f"data: {json.dumps(one)}\n\n" for one in written)
