"""An exported voice is the same again after its file; what is no such file is refused with the reason."""

from __future__ import annotations

import numpy as np
import pytest
from google.protobuf.json_format import MessageToJson
from safetensors.numpy import save

from uniaudio.client import ExportedVoice, consent
from uniaudio.client.voice_files import MAX_FILE_BYTES, voice_from_bytes, voice_to_bytes
from uniaudio.errors import InvalidInputError, LimitExceededError, PreconditionError
from uniaudio.v1 import audio_pb2, voices_pb2

AGREED = consent("Ada Lovelace", "reading letters aloud", evidence="I agree. Ada, 3 May")
VOICE = voices_pb2.Voice(voice_id="ada", transcript="你好 there", audio_seconds=1.0, consent=AGREED)
EXPORTED = ExportedVoice(
    voice=VOICE,
    audio=b"fLaC and more",
    latents=np.arange(12, dtype=np.float32).reshape(3, 4),
    tokenizer=audio_pb2.ModelInfo(name="small", revision="0123456789ab", trained=True),
)
FACTS = {"kind": "uniaudio voice 1", "voice": MessageToJson(VOICE), "tokenizer": "{}"}


def test_it_is_the_same_after_its_file() -> None:
    again = voice_from_bytes(voice_to_bytes(EXPORTED))
    assert (again.voice, again.audio, again.tokenizer) == (EXPORTED.voice, EXPORTED.audio, EXPORTED.tokenizer)
    np.testing.assert_array_equal(again.latents, EXPORTED.latents)


def test_latents_are_for_the_tokenizer_that_made_them() -> None:
    assert EXPORTED.latents_for("0123456789ab") is EXPORTED.latents
    with pytest.raises(PreconditionError, match="tokenizer 0123456789ab, this one is ba9876543210") as caught:
        EXPORTED.latents_for("ba9876543210")
    assert caught.value.reason == "OTHER_TOKENIZER"


def file(*, latents: object = None, audio: object = None, **facts: str) -> bytes:
    """A file like an exported one, changed as told."""
    tensors = {
        "latents": np.ones((3, 4), np.float32) if latents is None else latents,
        "audio": np.ones(3, np.uint8) if audio is None else audio,
    }
    return save(tensors, {**FACTS, **facts})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"RIFF and more that is no header", "cannot be read"),
        (voice_to_bytes(EXPORTED)[:-1], "cannot be read"),
        (save({"latents": np.ones((3, 4), np.float32)}), "cannot be read"),
        (file(kind="uniaudio voice 9"), "its kind is 'uniaudio voice 9'"),
        (file(voice="{"), "cannot be read"),
        (file(voice='{"consent": 3}'), "cannot be read"),
        (file(latents=np.ones(4, np.float32)), r"float32 of shape \(4,\)"),
        (file(latents=np.ones((3, 4), np.float64)), "float64"),
        (file(latents=np.full((3, 4), np.nan, np.float32)), "not finite"),
        (file(audio=np.ones((2, 2), np.uint8)), "its audio"),
    ],
)
def test_what_is_no_exported_voice_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(InvalidInputError, match=why) as caught:
        voice_from_bytes(content)
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)


def test_a_file_too_large_is_not_read() -> None:
    with pytest.raises(LimitExceededError):
        voice_from_bytes(bytes(MAX_FILE_BYTES + 1))
