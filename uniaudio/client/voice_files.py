"""An exported voice as one safetensors file: tensors `latents` and `audio`, the rest in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from numpy.typing import NDArray
from safetensors.numpy import save

from uniaudio.client.tensor_files import read_tensors
from uniaudio.client.voice_export import ExportedVoice
from uniaudio.errors import InvalidInputError, LimitExceededError
from uniaudio.v1 import audio_pb2, voices_pb2

MAX_FILE_BYTES = 16 << 20
"""Half a minute of latents and FLAC is below 2 MiB."""
_KIND = "uniaudio voice 1"


def voice_to_bytes(exported: ExportedVoice) -> bytes:
    """The file."""
    tensors: dict[str, NDArray[Any]] = {
        "latents": np.ascontiguousarray(exported.latents, np.float32),
        "audio": np.frombuffer(exported.audio, np.uint8),
    }
    facts = {
        "kind": _KIND,
        "voice": MessageToJson(exported.voice),
        "tokenizer": MessageToJson(exported.tokenizer),
    }
    return save(tensors, facts)


def voice_from_bytes(content: bytes) -> ExportedVoice:
    """Reads such a file; InvalidInputError or LimitExceededError for one that is none."""
    if len(content) > MAX_FILE_BYTES:
        raise LimitExceededError(
            f"the file has more than {MAX_FILE_BYTES} bytes, which no voice has; give a file that `uniaudio voices "
            "export` wrote",
            value=f"more than {MAX_FILE_BYTES}",
            limit=MAX_FILE_BYTES,
            remedy="give an exported voice",
        )
    try:
        tensors, facts = read_tensors(content)
        voice = Parse(facts["voice"], voices_pb2.Voice(), ignore_unknown_fields=True)
        tokenizer = Parse(facts["tokenizer"], audio_pb2.ModelInfo(), ignore_unknown_fields=True)
        latents, audio = tensors["latents"], tensors["audio"]
    except (ParseError, KeyError, ValueError) as error:
        raise _no_voice(f"it cannot be read ({error})") from error
    _check(facts, latents, audio)
    return ExportedVoice(voice=voice, audio=audio.tobytes(), latents=latents, tokenizer=tokenizer)


def _check(facts: Mapping[str, str], latents: NDArray[Any], audio: NDArray[Any]) -> None:
    if facts.get("kind") != _KIND:
        raise _no_voice(f"its kind is {facts.get('kind', '')[:40]!r}")
    if latents.dtype != np.float32 or latents.ndim != 2 or not latents.size:
        raise _no_voice(f"its latents are {latents.dtype} of shape {latents.shape}")
    if audio.dtype != np.uint8 or audio.ndim != 1 or not audio.size:
        raise _no_voice(f"its audio is {audio.dtype} of shape {audio.shape}")
    if not np.isfinite(latents).all():
        raise _no_voice("its latents are not finite")


def _no_voice(why: str) -> InvalidInputError:
    return InvalidInputError(
        f"the file is no exported voice: {why}; give a file that `uniaudio voices export` wrote",
        reason="NO_EXPORTED_VOICE",
        value=why,
        limit="a file of `uniaudio voices export`",
        remedy="give an exported voice",
    )
