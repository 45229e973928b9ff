"""Bytes of the contract to arrays and back; sizes are checked before anything is decoded."""

from __future__ import annotations

import numpy as np

from services.tokenizer.model import Floats
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError

FLOAT_BYTES = 4
MAX_SAMPLES = 9_600_000
MAX_FRAMES = 30_000
MAX_SPELLED_FRAMES = 3_000
MAX_STREAM_SAMPLES = 480_000
MAX_STREAM_FRAMES = 1_500


def read_waveform(content: bytes, *, max_samples: int, may_be_empty: bool = False) -> Floats:
    """Samples (num_samples,) from raw float32.

    Raises InvalidAudioError for a broken size, an empty waveform or values that are not finite, and
    LimitExceededError for too many samples.
    """
    if len(content) % FLOAT_BYTES:
        raise InvalidAudioError(
            f"waveform has {len(content)} bytes, which is no whole number of float32 samples; "
            "send raw little-endian float32, 4 bytes a sample",
            value=f"{len(content)} bytes",
            limit=f"a multiple of {FLOAT_BYTES} bytes",
            remedy="send raw little-endian float32, 4 bytes a sample",
        )
    num_samples = len(content) // FLOAT_BYTES
    if num_samples == 0 and not may_be_empty:
        raise InvalidAudioError(
            f"waveform is empty; send 1 to {max_samples} samples",
            value="0 samples",
            limit=f"1 to {max_samples} samples",
            remedy="send at least one sample",
        )
    if num_samples > max_samples:
        raise LimitExceededError(
            f"waveform has {num_samples} samples and {max_samples} are allowed in a message; "
            "cut it, or use StreamEncode with smaller messages",
            value=num_samples,
            limit=max_samples,
            remedy="cut it, or use StreamEncode with smaller messages",
        )
    waveform: Floats = np.frombuffer(content, dtype="<f4").astype(np.float32)
    bad = _first_not_finite(waveform)
    if bad is not None:
        raise InvalidAudioError(
            f"sample {bad} is {waveform[bad]}; every sample must be a finite number: repair the recording",
            value=f"sample {bad} is {waveform[bad]}",
            limit="finite numbers",
            remedy="repair the recording",
        )
    return waveform


def read_latents(
    content: bytes, *, latent_dim: int, max_frames: int, may_be_empty: bool = False, can_stream: bool = True
) -> Floats:
    """Latents (num_frames, latent_dim) from raw float32; too many are told of the stream, where one `can_stream`.

    Raises InvalidInputError for a broken size, no rows or values that are not finite, and
    LimitExceededError for too many rows.
    """
    row_bytes = latent_dim * FLOAT_BYTES
    if len(content) % row_bytes:
        raise InvalidInputError(
            f"latents have {len(content)} bytes, which is no whole number of rows; this model's rows are "
            f"{latent_dim} float32 values = {row_bytes} bytes (GetTokenizer tells)",
            reason="WRONG_LATENT_WIDTH",
            value=f"{len(content)} bytes",
            limit=f"rows of {latent_dim} float32 values = {row_bytes} bytes",
            remedy="send latents of this model; GetTokenizer tells their width",
            latent_dim=latent_dim,
        )
    num_frames = len(content) // row_bytes
    if num_frames == 0 and not may_be_empty:
        raise InvalidInputError(
            f"latents are empty; send 1 to {max_frames} rows",
            value="0 rows",
            limit=f"1 to {max_frames} rows",
            remedy="send at least one row",
        )
    if num_frames > max_frames:
        remedy = "cut them, or use StreamDecode with smaller messages" if can_stream else "cut them"
        raise LimitExceededError(
            f"latents have {num_frames} rows and {max_frames} are allowed in a message; {remedy}",
            value=num_frames,
            limit=max_frames,
            remedy=remedy,
        )
    flat: Floats = np.frombuffer(content, dtype="<f4").astype(np.float32)
    bad = _first_not_finite(flat)
    if bad is not None:
        row, column = divmod(bad, latent_dim)
        raise InvalidInputError(
            f"the latent in row {row}, column {column} is {flat[bad]}; every value must be a finite number: "
            "send what Encode answered",
            value=f"row {row}, column {column} is {flat[bad]}",
            limit="finite numbers",
            remedy="send what Encode answered",
        )
    return flat.reshape(num_frames, latent_dim)


def to_bytes(values: Floats) -> bytes:
    """Raw little-endian float32, row by row."""
    return np.ascontiguousarray(values, dtype="<f4").tobytes()


def _first_not_finite(values: Floats) -> int | None:
    finite = np.isfinite(values)
    return None if finite.all() else int(np.argmin(finite))
