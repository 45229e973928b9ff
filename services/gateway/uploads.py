"""Recordings that come as forms."""

from __future__ import annotations

from typing import Annotated

from fastapi import File, UploadFile

from uniaudio.audio.limits import AudioLimits

Recording = Annotated[UploadFile, File(description="WAV, FLAC, OGG (Vorbis, Opus) or MP3; up to an hour.")]
"""A handler's parameter: a recording in a form."""


async def read_upload(file: UploadFile) -> bytes:
    """The file's bytes; refused by its size before they are read into memory."""
    AudioLimits().check_encoded_bytes(file.size or 0)
    return await file.read()
