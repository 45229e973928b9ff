"""The manifest: how one piece of audio was made. docs/provenance.md tells its fields to readers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelPart(_Part):
    """The model that took part."""

    name: str
    revision: str
    trained: bool


class WatermarkPart(_Part):
    """The mark in what the model made: its key's name and its 16 bits."""

    key_id: str
    payload: int


class AudioPart(_Part):
    """The audio described. `sha256` is that of `uniaudio.audio.digest`: of a WAV, its samples alone."""

    sha256: str
    encoding: str
    sample_rate: int
    seconds: float


class Manifest(_Part):
    """How a piece of audio was made. The caller's words are there as hashes, and in clear where they asked for it."""

    format: Literal["uniaudio-manifest/1"] = "uniaudio-manifest/1"
    made_by: str
    made_at: str
    request_id: str
    action: Literal["speak", "edit"]
    kind: str
    text_sha256: str
    text: str | None = None
    voice_id: str | None = None
    source_sha256: str | None = None
    seed: int
    model: ModelPart | None = None
    generated: tuple[tuple[float, float], ...]
    watermark: WatermarkPart | None = None
    audio: AudioPart
