"""SpeechService on a real gRPC server: what it serves, and how it ends when callers or neighbours go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from grpc_health.v1 import health_pb2

from services.orchestrator.clients import TextMade
from services.orchestrator.servicer import SERVICE_NAME
from tests.fakes_speech import speech_like
from tests.orchestrator_house import House, everything, live_requests, refused, wav
from uniaudio.audio.files import decode_audio
from uniaudio.errors import ModelOutputError, UnavailableError
from uniaudio.v1 import audio_pb2, edits_pb2, llm_pb2, speech_pb2


async def test_a_recording_is_transcribed(house: House) -> None:
    request = speech_pb2.TranscribeRequest(audio=wav(2.0), context_phrases=["Ming"], request_id="mine")
    reply = await house.stub.Transcribe(request, timeout=20)
    assert (reply.request_id, reply.text, reply.language) == ("mine", "hello world", "English")
    assert reply.segments[0].time_range.end_seconds == 2.0
    assert not reply.model.trained


async def test_a_text_comes_while_it_is_written(house: House) -> None:
    house.model.script = lambda *_: [TextMade("English\thel"), TextMade("lo"), TextMade(" world")]
    house.model.pause = lambda index: house.gate if index == 2 else None
    request = speech_pb2.TranscribeRequest(audio=wav(2.0), request_id="mine")
    call = house.stub.TranscribeProgressively(
        speech_pb2.TranscribeProgressivelyRequest(transcribe=request), timeout=20
    )
    answers = aiter(call)
    assert [(await anext(answers)).text_delta for _ in range(2)] == ["hel", "lo"]
    house.gate.set()
    last, whole = await everything(answers)
    assert last.text_delta == " world"
    assert (whole.transcript.request_id, whole.transcript.text) == ("mine", "hello world")


async def test_who_stops_reading_a_text_stops_the_model(house: House) -> None:
    house.model.pause = lambda index: house.gate
    request = speech_pb2.TranscribeRequest(audio=wav(2.0))
    call = house.stub.TranscribeProgressively(
        speech_pb2.TranscribeProgressivelyRequest(transcribe=request), timeout=20
    )
    while house.model.num_open == 0:
        await asyncio.sleep(0.001)
    call.cancel()
    while house.model.num_cancelled == 0:
        await asyncio.sleep(0.001)
    house.gate.set()
    await house.serves()


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


async def test_live_audio_is_transcribed(house: House) -> None:
    requests = live_requests(speech_like(1.5, 1.0), request_id="live")
    replies = await everything(house.stub.StreamTranscribe(iter(requests), timeout=20))
    assert [reply.final for reply in replies] == [True, True]
    assert replies[0].segment.text == "hello world"
    assert replies[1].segment.time_range.start_seconds > 2


async def test_a_live_stream_without_a_first_message_is_not_waited_for(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.orchestrator.servicer.IDLE_SECONDS", 0.1)
    silent = house.stub.StreamTranscribe(timeout=20)
    await refused(silent, grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", "nothing came for 0.1 s")
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
        2,
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
