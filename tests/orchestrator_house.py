"""SpeechService on a real gRPC server before faked neighbours, and how its refusals are read."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2_grpc

from services.orchestrator.admission import Admission
from services.orchestrator.clients import Generated, Task, TextMade, Understand
from services.orchestrator.domain import Sampling
from services.orchestrator.front import Front
from services.orchestrator.provenance.servicer import provenance_service
from services.orchestrator.servicer import speech_service
from services.orchestrator.voices.policy import PromptPolicy, Voices
from services.orchestrator.voices.servicer import voice_service
from tests.fakes_speech import (
    FakeLanguageModel,
    FakeTokenizer,
    FakeTools,
    Floats,
    noise_patches,
    split_at_bars,
    tone,
)
from tests.provenance import hallmark_and_verifier
from tests.voices_house import VoicesHouse
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import AudioLimits
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.guard.callers import current_caller
from uniaudio.runtime.guard.guard import Guard
from uniaudio.runtime.server import Server, ServerConfig, client_options
from uniaudio.v1 import audio_pb2, speech_pb2, speech_pb2_grpc

WAV = AudioFormat(encoding=AudioEncoding.WAV)
FLAC = AudioFormat(encoding=AudioEncoding.FLAC)


def answer(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
    """Hears "hello world", thinks where asked to, and speaks three seconds."""
    if isinstance(task, Understand):
        return [TextMade("English\thello world")]
    thought = [TextMade("<cot_text>hello <edit><framePatch></edit> world</cot_text><gen_audio>")]
    return [
        *(thought if getattr(task, "reasoning", False) else []),
        *noise_patches(30, (sampling.seed or 0) % 2**32),
    ]


@dataclass
class House:
    """A running server before fakes."""

    tokenizer: FakeTokenizer
    model: FakeLanguageModel
    stub: speech_pb2_grpc.SpeechServiceAsyncStub
    health: health_pb2_grpc.HealthStub
    channel: grpc.aio.Channel
    address: str
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def serves(self) -> None:
        """The next request works."""
        reply = await self.stub.Transcribe(speech_pb2.TranscribeRequest(audio=wav(1.0)), timeout=20)
        assert reply.text == "hello world"


@asynccontextmanager
async def running_house(
    guard: Guard | None = None, policy: PromptPolicy | None = None
) -> AsyncIterator[House]:
    """A server before fakes, stopped at the end with nothing of theirs left open."""
    with TemporaryDirectory() as folder:
        async with _running_house(Path(folder), guard, policy) as house:
            yield house


@asynccontextmanager
async def _running_house(
    folder: Path, guard: Guard | None, policy: PromptPolicy | None
) -> AsyncIterator[House]:
    tokenizer, model = FakeTokenizer(), FakeLanguageModel(answer)
    hallmark, verifier = hallmark_and_verifier()
    voices = VoicesHouse(folder, tokenizer, model, clock=time.time)
    front = Front(
        tokenizer,
        model,
        prepare=split_at_bars,
        tools=FakeTools(),
        admission=Admission(max_running=2, max_waiting=1, max_wait_seconds=20),
        live_admission=Admission(max_running=1, max_waiting=0, max_wait_seconds=1),
        limits=AudioLimits(max_decoded_samples=8_000_000),
        hallmark=hallmark,
        voices=Voices(voices.registry, _caller_name, policy),
    )
    beside = Admission(max_running=1, max_waiting=1, max_wait_seconds=20)
    server = Server(
        [
            speech_service(front),
            provenance_service(verifier, beside),
            voice_service(voices.registry, _caller_name, beside),
        ],
        ServerConfig(port=0, grace_seconds=1, probe_interval_seconds=0.02),
        interceptors=[guard] if guard else [],
        on_end=guard.end if guard else None,
    )
    port = await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=client_options()) as channel:
            yield House(
                tokenizer,
                model,
                speech_pb2_grpc.SpeechServiceStub(channel),
                health_pb2_grpc.HealthStub(channel),
                channel,
                f"127.0.0.1:{port}",
            )
    finally:
        await server.stop()
        voices.close()
    assert (model.num_open, tokenizer.num_open) == (0, 0)


def _caller_name() -> str:
    return current_caller().name


def wav(seconds: float) -> audio_pb2.Audio:
    return audio_pb2.Audio(content=encode_audio(tone(seconds), WAV))


def pcm(samples: Floats) -> audio_pb2.Audio:
    layout = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_PCM_F32LE, sample_rate=16_000)
    return audio_pb2.Audio(content=samples.tobytes(), format=layout)


def info_of(error: grpc.aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """The error's machine-readable part."""
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status.details)
    assert info.domain == "uniaudio"
    return info


async def everything(call: AsyncIterator) -> list:
    return [message async for message in call]


def opened(house: House, messages: list[speech_pb2.StreamTranscribeRequest], **options: Any) -> Any:
    """A live stream that sends `messages`, and tells the server's own status however early that comes."""
    call = house.stub.StreamTranscribe(iter(messages), timeout=30, **options)
    keep_status(call)
    return call


async def refused(call, code: grpc.StatusCode, reason: str, words: str = "") -> dict[str, str]:
    """The details of a refusal: code, reason, a message with `words`, and value, limit, remedy."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (everything(call) if hasattr(call, "__aiter__") else call)
    error = caught.value
    assert error.code() is code, error.details()
    info = info_of(error)
    assert info.reason == reason
    assert {"value", "limit", "remedy"} <= set(info.metadata)
    assert words in (error.details() or "")
    return dict(info.metadata)


BAD_LENGTH = struct.pack("<I", 3_200_000)


def live_requests(waveform: Floats, **config: object) -> list[speech_pb2.StreamTranscribeRequest]:
    layout = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate=16_000)
    first = speech_pb2.StreamTranscribeConfig(format=layout, **config)  # type: ignore[arg-type]
    content = (waveform * 32767).astype("<i2").tobytes()
    pieces = [content[start : start + 3_200] for start in range(0, len(content), 3_200)]
    return [
        speech_pb2.StreamTranscribeRequest(config=first),
        *(speech_pb2.StreamTranscribeRequest(audio_content=piece) for piece in pieces),
    ]
