"""Recordings that come as forms."""

from __future__ import annotations

from fastapi import UploadFile

from uniaudio.audio.limits import AudioLimits


async def read_upload(file: UploadFile) -> bytes:
    """The file's bytes; refused by its size before they are read into memory."""
    AudioLimits().check_encoded_bytes(file.size or 0)
    return await file.read()
