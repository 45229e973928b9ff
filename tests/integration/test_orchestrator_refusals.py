"""What SpeechService refuses: value, limit and remedy are told, and the next request is served."""

from __future__ import annotations

import struct
from collections.abc import Callable

import grpc
import numpy as np
import pytest

from tests.fakes_speech import (
    speech_like,
    tone,
)
from tests.orchestrator_house import FLAC, WAV, House, live_requests, opened, pcm, refused, wav
from uniaudio.audio.encode import encode_audio
from uniaudio.v1 import audio_pb2, edits_pb2, llm_pb2, speech_pb2

BAD_LENGTH = struct.pack("<I", 3_200_000)


def lying_header() -> bytes:
    """A WAV whose header promises a hundred seconds and whose bytes hold one."""
    content = encode_audio(tone(1.0), WAV)
    return content[:40] + BAD_LENGTH + content[44:]


def flac_that_claims(num_samples: int) -> bytes:
    """A FLAC of a second whose header claims another length."""
    content = bytearray(encode_audio(tone(1.0), FLAC))
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | num_samples
    content[18:26] = packed.to_bytes(8, "big")
    return bytes(content)


def flac_bomb() -> bytes:
    """Ten minutes of silence in a few KB that do not say how long they are."""
    content = bytearray(encode_audio(np.zeros(600 * 16_000, np.float32), FLAC))
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36
    content[18:26] = packed.to_bytes(8, "big")
    return bytes(content)


def with_nan() -> audio_pb2.Audio:
    samples = tone(1.0)
    samples[5] = np.nan
    return pcm(samples)


BAD_AUDIO: dict[str, tuple[Callable[[], audio_pb2.Audio], str, str]] = {
    "empty": (lambda: audio_pb2.Audio(), "INVALID_AUDIO", "empty (0 bytes)"),
    "one sample": (lambda: pcm(tone(1.0)[:1]), "INVALID_AUDIO", "1 samples"),
    "three hours": (
        lambda: audio_pb2.Audio(content=flac_that_claims(3 * 3600 * 16_000)), "LIMIT_EXCEEDED", "10800.0 s",
    ),
    "nan": (with_nan, "INVALID_AUDIO", "sample 5 of the audio is nan"),
    "lying header": (lambda: audio_pb2.Audio(content=lying_header()), "INVALID_AUDIO", "3200000 bytes"),
    "truncated": (
        lambda: audio_pb2.Audio(content=encode_audio(tone(1.0), FLAC)[:-900]), "INVALID_AUDIO", "complete file",
    ),
    "flac bomb": (lambda: audio_pb2.Audio(content=flac_bomb()), "LIMIT_EXCEEDED", "the limit is 8000000"),
    "too many bytes": (lambda: audio_pb2.Audio(content=bytes(65 << 20)), "LIMIT_EXCEEDED", "67108864"),
    "unknown encoding": (
        lambda: audio_pb2.Audio(content=b"x", format=audio_pb2.AudioFormat(encoding=99)),  # type: ignore[arg-type]
        "INVALID_INPUT", "format.encoding is 99",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_AUDIO)
async def test_bad_audio_is_refused_and_the_next_request_is_served(house: House, name: str) -> None:
    make, reason, words = BAD_AUDIO[name]
    audio = make()
    calls = [
        house.stub.Transcribe(speech_pb2.TranscribeRequest(audio=audio), timeout=60),
        house.stub.Edit(speech_pb2.EditRequest(audio=audio, instruction="denoise the audio"), timeout=60),
        house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="hi", prompt_audio=audio), timeout=60),
    ]
    for call in calls[:1] if name == "too many bytes" else calls:
        await refused(call, grpc.StatusCode.INVALID_ARGUMENT, reason, words)
    for call in calls:
        call.cancel()
    assert house.model.tasks == []
    await house.serves()


async def test_ten_megabytes_of_text_are_refused(house: House) -> None:
    call = house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="x" * 10_000_000), timeout=20)
    details = await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "LIMIT_EXCEEDED", "split it")
    assert (details["value"], details["limit"]) == ("10000000", "20000")
    call = house.stub.Edit(speech_pb2.EditRequest(audio=wav(1.0), instruction="x" * 10_000_000), timeout=20)
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "INSTRUCTION_TOO_LONG", "2000")
    await house.serves()


@pytest.mark.parametrize(
    ("instruction", "reason"),
    [
        ("", "INSTRUCTION_EMPTY"),
        ("adjusts the speed to 50", "EDIT_VALUE_OUT_OF_RANGE"),
        ("delete 'cat'", "EDIT_TARGET_NOT_FOUND"),
        ("delete the characters or words from index 7 to index 9", "EDIT_TARGET_OUT_OF_RANGE"),
        ("delete 'the dog'", "EDIT_LEAVES_NOTHING"),
    ],
)
async def test_instructions_that_cannot_be_followed_are_refused(
    house: House, instruction: str, reason: str
) -> None:
    request = speech_pb2.EditRequest(audio=wav(1.0), instruction=instruction, transcript="the dog")
    await refused(house.stub.Edit(request, timeout=20), grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert house.model.tasks == []
    await house.serves()


async def test_an_unknown_instruction_for_the_exact_engine_is_refused(house: House) -> None:
    request = speech_pb2.EditRequest(
        audio=wav(1.0), instruction="sing it", engine=edits_pb2.EDIT_ENGINE_EXACT, validate_only=True
    )
    call = house.stub.Edit(request, timeout=20)
    await refused(
        call, grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_INSTRUCTION", "only changes speed, pitch and volume"
    )
    await house.serves()


@pytest.mark.parametrize("request_id", ["x" * 129, "a\nb"])
async def test_bad_request_ids_are_refused(house: House, request_id: str) -> None:
    call = house.stub.Transcribe(
        speech_pb2.TranscribeRequest(audio=wav(1.0), request_id=request_id), timeout=20
    )
    await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST_ID", "128")
    await house.serves()


async def test_sampling_outside_its_bounds_is_refused(house: House) -> None:
    sampling = llm_pb2.SamplingOptions(guidance_scale=50)
    call = house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="hi", sampling=sampling), timeout=20)
    details = await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "guidance_scale is 50")
    assert details["limit"] == "1 to 20"


async def test_live_streams_out_of_order_or_not_raw_are_refused(house: House) -> None:
    first, audio, *_ = live_requests(speech_like(1.0))
    undeclared = speech_pb2.StreamTranscribeRequest(config=speech_pb2.StreamTranscribeConfig())
    for sent, reason, words in (
        ([audio], "INVALID_INPUT", "the first message of a live stream must carry config"),
        ([first, first], "INVALID_INPUT", "after the first of a live stream must carry audio_content"),
        ([undeclared], "INVALID_AUDIO", "raw PCM"),
    ):
        call = house.stub.StreamTranscribe(timeout=20)
        for message in sent:
            await call.write(message)
        await refused(call, grpc.StatusCode.INVALID_ARGUMENT, reason, words)
    await house.serves()


async def test_words_of_a_prompt_that_is_not_there_are_refused(house: House) -> None:
    request = speech_pb2.SynthesizeRequest(text="hi", prompt_text="mine")
    await refused(
        house.stub.Synthesize(request, timeout=20), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "both"
    )
    await house.serves()


async def test_a_live_stream_of_crumbs_is_refused(house: House) -> None:
    first, *_ = live_requests(speech_like(1.0))
    crumb = speech_pb2.StreamTranscribeRequest(audio_content=b"\0\0")
    call = opened(house, [first, *[crumb] * 3000])
    details = await refused(call, grpc.StatusCode.INVALID_ARGUMENT, "TOO_MANY_MESSAGES", "put more")
    assert details["limit"] == "200 messages a second of audio"
    await house.serves()
