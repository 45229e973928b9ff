"""SpeechService on a real gRPC server: every refusal says value, limit and remedy, and the next request is served."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from services.orchestrator.admission import Admission
from services.orchestrator.clients import Generated, Task, TextMade, Understand
from services.orchestrator.domain import Sampling
from services.orchestrator.front import Front
from services.orchestrator.servicer import SERVICE_NAME, speech_service
from tests.fakes_speech import (
    FakeLanguageModel,
    FakeTokenizer,
    FakeTools,
    Floats,
    noise_patches,
    speech_like,
    split_at_bars,
    tone,
)
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import ModelOutputError, UnavailableError
from uniaudio.runtime.server import Server, ServerConfig, client_options
from uniaudio.v1 import audio_pb2, edits_pb2, llm_pb2, speech_pb2, speech_pb2_grpc

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
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def serves(self) -> None:
        """The next request works."""
        reply = await self.stub.Transcribe(speech_pb2.TranscribeRequest(audio=wav(1.0)), timeout=20)
        assert reply.text == "hello world"


@pytest.fixture
async def house() -> AsyncIterator[House]:
    tokenizer, model = FakeTokenizer(), FakeLanguageModel(answer)
    front = Front(
        tokenizer,
        model,
        prepare=split_at_bars,
        tools=FakeTools(),
        admission=Admission(max_running=2, max_waiting=1, max_wait_seconds=20),
        live_admission=Admission(max_running=1, max_waiting=0, max_wait_seconds=1),
        limits=AudioLimits(max_decoded_samples=8_000_000),
    )
    server = Server(
        [speech_service(front)], ServerConfig(port=0, grace_seconds=1, probe_interval_seconds=0.02)
    )
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=client_options()) as channel:
        yield House(
            tokenizer, model, speech_pb2_grpc.SpeechServiceStub(channel), health_pb2_grpc.HealthStub(channel)
        )
    await server.stop()
    assert (model.num_open, tokenizer.num_open) == (0, 0)


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


async def test_a_recording_is_transcribed(house: House) -> None:
    request = speech_pb2.TranscribeRequest(audio=wav(2.0), context_phrases=["Ming"], request_id="mine")
    reply = await house.stub.Transcribe(request, timeout=20)
    assert (reply.request_id, reply.text, reply.language) == ("mine", "hello world", "English")
    assert reply.segments[0].time_range.end_seconds == 2.0
    assert not reply.model.trained


async def test_a_text_is_spoken(house: House) -> None:
    request = speech_pb2.SynthesizeRequest(
        text="hello",
        output_format=audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_OGG, sample_rate=24_000),
    )
    messages = await everything(house.stub.Synthesize(request, timeout=20))
    content = b"".join(message.audio.content for message in messages)
    assert len(decode_audio(content)) == pytest.approx(48_000, abs=2_000)
    report = messages[-1].report
    assert report.request_id
    assert report.finish_reason == llm_pb2.FINISH_REASON_STOP
    assert report.warnings == ["the weights are random"]
    assert messages[0].audio.format.encoding == audio_pb2.AUDIO_ENCODING_OGG


async def test_a_recording_is_edited_exactly_and_by_the_model(house: House) -> None:
    for instruction, engine in (("make it 20% faster", "EXACT"), ("delete 'world'", "MODEL")):
        request = speech_pb2.EditRequest(audio=wav(2.0), instruction=instruction)
        messages = await everything(house.stub.Edit(request, timeout=20))
        kinds = [message.WhichOneof("message") for message in messages]
        assert kinds[0] == "plan"
        assert kinds[-1] == "report"
        assert "audio" in kinds
        assert edits_pb2.EditEngine.Name(messages[-1].report.plan.engine) == f"EDIT_ENGINE_{engine}"
        assert messages[-1].report.checks


async def test_planning_only(house: House) -> None:
    request = speech_pb2.EditRequest(instruction="insert 'big' before 'dog'", validate_only=True)
    (message,) = await everything(house.stub.Edit(request, timeout=20))
    plan = message.plan
    assert plan.kind == edits_pb2.EDIT_KIND_INSERT
    assert (plan.target.text, plan.new_text, plan.place) == ("dog", "big", edits_pb2.INSERT_PLACE_BEFORE)
    assert plan.reasoning


def live_requests(waveform: Floats, **config: object) -> list[speech_pb2.StreamTranscribeRequest]:
    layout = audio_pb2.AudioFormat(encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate=16_000)
    first = speech_pb2.StreamTranscribeConfig(format=layout, **config)  # type: ignore[arg-type]
    content = (waveform * 32767).astype("<i2").tobytes()
    pieces = [content[start : start + 3_200] for start in range(0, len(content), 3_200)]
    return [
        speech_pb2.StreamTranscribeRequest(config=first),
        *(speech_pb2.StreamTranscribeRequest(audio_content=piece) for piece in pieces),
    ]


async def test_live_audio_is_transcribed(house: House) -> None:
    requests = live_requests(speech_like(1.5, 1.0), request_id="live")
    replies = await everything(house.stub.StreamTranscribe(iter(requests), timeout=20))
    assert [reply.final for reply in replies] == [True, True]
    assert replies[0].segment.text == "hello world"
    assert replies[1].segment.time_range.start_seconds > 2


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


async def test_a_live_stream_without_a_first_message_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.orchestrator.servicer.IDLE_SECONDS", 0.1)
    silent = house.stub.StreamTranscribe(timeout=20)
    await refused(silent, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "nothing came for 0.1 s")
    await house.serves()


async def test_words_of_a_prompt_that_is_not_there_are_refused(house: House) -> None:
    request = speech_pb2.SynthesizeRequest(text="hi", prompt_text="mine")
    await refused(
        house.stub.Synthesize(request, timeout=20), grpc.StatusCode.INVALID_ARGUMENT, "INVALID_INPUT", "both"
    )
    await house.serves()


async def test_the_time_to_the_first_audio_counts_the_wait(house: House) -> None:
    house.model.pause = lambda _: house.gate
    held = [house.stub.Transcribe(speech_pb2.TranscribeRequest(audio=wav(1.0)), timeout=30) for _ in range(2)]
    running = [asyncio.ensure_future(_result(call)) for call in held]
    async with asyncio.timeout(10):
        while len(house.model.tasks) < 2:
            await asyncio.sleep(0.01)
    waiting = asyncio.ensure_future(
        everything(house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="hello"), timeout=30))
    )
    await asyncio.sleep(0.3)
    house.gate.set()
    messages, *_ = await asyncio.gather(waiting, *running)
    assert messages[-1].report.first_audio_seconds >= 0.25


async def test_a_client_that_disconnects_stops_the_model_within_a_step(house: House) -> None:
    made_when_it_left = 0

    def hold(index: int) -> asyncio.Event | None:
        return house.gate if index == 25 else None

    house.model.pause = hold
    call = house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="hello"), timeout=20)
    await call.read()
    made_when_it_left = house.model.num_made
    call.cancel()
    async with asyncio.timeout(10):
        while house.model.num_open:
            await asyncio.sleep(0.01)
    assert house.model.num_cancelled == 1
    assert house.model.num_made <= max(made_when_it_left + 1, 25)
    house.model.pause = lambda _: None
    await house.serves()


async def test_a_deadline_of_the_caller_stops_the_model(house: House) -> None:
    house.model.pause = lambda index: house.gate
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await everything(house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="hello"), timeout=0.3))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        while house.model.num_open:
            await asyncio.sleep(0.01)
    house.model.pause = lambda _: None
    await house.serves()


@pytest.mark.parametrize("who", ["tokenizer", "model"])
async def test_a_neighbour_that_is_away_is_unavailable_and_health_says_so(house: House, who: str) -> None:
    away = UnavailableError(f"the {who} is away; try again", value="down", limit="ready", remedy="try again")
    neighbour = house.tokenizer if who == "tokenizer" else house.model
    neighbour.error = away
    call = house.stub.Transcribe(speech_pb2.TranscribeRequest(audio=wav(1.0)), timeout=20)
    await refused(call, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", f"the {who} is away")
    await refused(
        house.stub.GetInfo(speech_pb2.GetInfoRequest(), timeout=20),
        grpc.StatusCode.UNAVAILABLE,
        "UNAVAILABLE",
    )
    await until_health(house, health_pb2.HealthCheckResponse.NOT_SERVING)
    neighbour.error = None
    await until_health(house, health_pb2.HealthCheckResponse.SERVING)
    await house.serves()


async def until_health(house: House, wanted: health_pb2.HealthCheckResponse.ServingStatus) -> None:
    async with asyncio.timeout(10):
        for service in (SERVICE_NAME, ""):
            while True:
                reply = await house.health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
                if reply.status == wanted:
                    break
                await asyncio.sleep(0.01)


async def test_a_tokenizer_that_dies_midway_ends_the_call_and_the_model(house: House) -> None:
    house.tokenizer.fail_after_pieces, house.tokenizer.stream_error = (
        10,
        UnavailableError("the tokenizer died; try again", value="dead", limit="alive", remedy="try again"),
    )
    call = house.stub.Synthesize(speech_pb2.SynthesizeRequest(text="hello"), timeout=20)
    await refused(call, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "the tokenizer died")
    assert house.model.num_open == 0
    house.tokenizer.fail_after_pieces = None
    await house.serves()


async def test_a_model_that_makes_nonsense_is_an_internal_error(house: House) -> None:
    house.model.error = ModelOutputError(
        "the model made no speech", value="0 patches", limit="speech", remedy="try another seed"
    )
    call = house.stub.Edit(
        speech_pb2.EditRequest(audio=wav(1.0), instruction="denoise the audio"), timeout=20
    )
    await refused(call, grpc.StatusCode.INTERNAL, "MODEL_OUTPUT", "no speech")
    house.model.error = None
    await house.serves()


async def test_a_full_queue_refuses_and_serves_again(house: House) -> None:
    house.model.pause = lambda _: house.gate
    request = speech_pb2.TranscribeRequest(audio=wav(1.0))
    calls = [house.stub.Transcribe(request, timeout=30) for _ in range(3)]
    running = [asyncio.ensure_future(_result(call)) for call in calls]
    async with asyncio.timeout(10):
        while len(house.model.tasks) < 2:
            await asyncio.sleep(0.01)
    # Two run and one waits: the door is full once the third has arrived.
    async with asyncio.timeout(10):
        while True:
            try:
                extra = house.stub.Transcribe(request, timeout=0.2)
                details = await refused(extra, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "try again")
                break
            except AssertionError:
                continue
    assert (details["value"], details["limit"]) == ("1", "1")
    assert "retry_after_seconds" in details
    house.gate.set()
    replies = await asyncio.gather(*running)
    assert [reply.text for reply in replies] == ["hello world"] * 3
    await house.serves()


async def _result(call):
    return await call


async def test_one_live_stream_too_many_is_refused_at_once(house: House) -> None:
    async def endless() -> AsyncIterator[speech_pb2.StreamTranscribeRequest]:
        for request in live_requests(speech_like(1.0)):
            yield request
        await asyncio.Event().wait()

    first = house.stub.StreamTranscribe(endless(), timeout=30)
    await first.read()
    # Only the first message: grpc.aio forgets the status of a call that ends while it is still writing.
    second = house.stub.StreamTranscribe(timeout=20)
    await second.write(live_requests(speech_like(1.0))[0])
    await refused(second, grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
    first.cancel()
    async with asyncio.timeout(10):
        while True:
            replies = house.stub.StreamTranscribe(iter(live_requests(speech_like(1.0))), timeout=20)
            try:
                assert [reply.final for reply in await everything(replies)] == [True]
                break
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.02)


async def test_info_tells_the_models_and_the_limits(house: House) -> None:
    info = await house.stub.GetInfo(speech_pb2.GetInfoRequest(), timeout=20)
    assert (info.sample_rate, info.max_audio_seconds, info.max_audio_bytes) == (16_000, 3600.0, 64 << 20)
    assert info.max_text_characters == 20_000
    assert not info.model.trained
    assert info.model.notice == info.tokenizer.notice == "the weights are random"
