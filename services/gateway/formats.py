"""OpenAI's names of audio formats: what each is here, its media type, its rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.gateway.document import Responses
from uniaudio.client import OutputFormat
from uniaudio.errors import InvalidInputError

ResponseFormat = Literal["mp3", "opus", "aac", "flac", "wav", "pcm"]


@dataclass(frozen=True)
class WrittenAs:
    """How an answer is written; a `sample_rate` of None is the model's own, 16 kHz."""

    format: OutputFormat
    media_type: str
    sample_rate: int | None = None


# OpenAI's "pcm" is 24 kHz, 16 bits, little-endian, and players that read it know no other.
_FORMATS: Mapping[str, WrittenAs] = {
    "mp3": WrittenAs("mp3", "audio/mpeg"),
    "opus": WrittenAs("opus", "audio/ogg"),
    "flac": WrittenAs("flac", "audio/flac"),
    "wav": WrittenAs("wav", "audio/wav"),
    "pcm": WrittenAs("pcm", "audio/pcm", 24_000),
}


def sounding(also: Mapping[str, object] | None = None) -> Responses:
    """For the document: audio in any of the formats, and examples of what else the answer may be."""
    media_types = sorted({written.media_type for written in _FORMATS.values()})
    content: dict[str, Any] = {media_type: {} for media_type in media_types}
    return {
        200: {"content": content | {name: {"example": example} for name, example in (also or {}).items()}}
    }


def written_as(name: ResponseFormat) -> WrittenAs:
    """The format behind a name; InvalidInputError for one that OpenAI has and we do not."""
    if name not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise InvalidInputError(
            f"response_format {name!r} cannot be written here; use one of {known}",
            reason="UNSUPPORTED_FORMAT",
            field="response_format",
            value=name,
            limit=known,
            remedy="use another format",
        )
    return _FORMATS[name]
