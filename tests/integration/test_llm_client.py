"""The LLM's client against a stand-in for Triton that misbehaves in every way Triton can."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from uniaudio.errors import (
    CancelledByCallerError,
    DeadlineError,
    ModelOutputError,
    QueueFullError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime import llm_wire
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.llm_events import Event, FinishEvent, HeartbeatEvent, PatchEvent, TextEvent
from uniaudio.v1 import llm_pb2

OPTIONS = llm_pb2.GenerateOptions(request_id="a", speak=llm_pb2.SpeakTask(text="Hi"))
Answer = Callable[[Any, Any], Awaitable[None]]  # request, context


def response(event: llm_pb2.GenerateEvent, latents: np.ndarray | None = None, *, cut: int = 0) -> Any:
    """One Triton response; `cut` bytes of the latents get lost."""
    inner = service_pb2.ModelInferResponse()
    inner.outputs.add(name=llm_wire.EVENT, datatype="BYTES", shape=[1])
    content = event.SerializeToString()
    inner.raw_output_contents.append(len(content).to_bytes(4, "little") + content)
    if latents is not None:
        inner.outputs.add(name=llm_wire.LATENTS, datatype="FP32", shape=latents.shape)
        inner.raw_output_contents.append(latents.tobytes()[cut:])
    return service_pb2.ModelStreamInferResponse(infer_response=inner)


def patch(index: int, last: bool = False) -> llm_pb2.GenerateEvent:
    return llm_pb2.GenerateEvent(patch=llm_pb2.PatchEvent(index=index, last=last))


FINISH = llm_pb2.GenerateEvent(
    finish=llm_pb2.FinishEvent(reason=llm_pb2.FINISH_REASON_LENGTH, text="ok", num_patches=1)
)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    """The port of a server whose streams are answered by `answer`."""

    class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]
        async def ModelStreamInfer(self, requests: Any, context: Any) -> None:
            async with asyncio.TaskGroup() as group:  # Triton, too, reads on while it answers
                async for request in requests:
                    group.create_task(answer(request, context))

    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@asynccontextmanager
async def served(answer: Answer, **options: Any) -> AsyncIterator[LlmClient]:
    """A client of such a server."""
    async with serving(answer) as port, LlmClient(f"127.0.0.1:{port}", **options) as client:
        yield client


async def collect(client: LlmClient, **options: Any) -> list[Event]:
    return [event async for event in client.generate(OPTIONS, **options)]


async def test_events_come_typed_and_heartbeats_only_on_request() -> None:
    latents = np.arange(10, dtype=np.float32).reshape(5, 2)

    async def answer(request: Any, context: Any) -> None:
        await context.write(response(llm_pb2.GenerateEvent(heartbeat=llm_pb2.HeartbeatEvent(num_ahead=2))))
        await context.write(response(llm_pb2.GenerateEvent(text=llm_pb2.TextEvent(text="x", num_tokens=1))))
        await context.write(response(patch(0, last=True), latents))
        await context.write(response(FINISH))

    async with served(answer) as client:
        text, made, finish = await collect(client)
        beat = (await collect(client, heartbeats=True))[0]
    assert text == TextEvent("x", 1)
    assert isinstance(made, PatchEvent)
    np.testing.assert_array_equal(made.latents, latents)
    assert made.last
    assert isinstance(finish, FinishEvent)
    assert (finish.reason, finish.text) == ("length", "ok")
    assert beat == HeartbeatEvent(2)


async def test_the_request_carries_options_latents_and_deadline() -> None:
    seen: list[Any] = []

    async def answer(request: Any, context: Any) -> None:
        seen.append(request)
        await context.write(response(FINISH))

    async with served(answer) as client:
        async for _ in client.generate(OPTIONS, np.ones((3, 2), np.float32), timeout=7):
            pass
        async for _ in client.generate(OPTIONS, np.ones((0, 2), np.float32)):
            pass
    request = seen[0]
    assert [tensor.name for tensor in request.inputs] == ["options", "latents"]
    assert list(request.inputs[1].shape) == [3, 2]
    options = llm_pb2.GenerateOptions.FromString(request.raw_input_contents[0][4:])
    assert options.deadline_milliseconds == 7000
    assert [tensor.name for tensor in seen[1].inputs] == ["options"]


async def test_silence_means_that_the_model_process_is_gone() -> None:
    async def answer(request: Any, context: Any) -> None:
        await context.write(response(patch(0), np.zeros((5, 2), np.float32)))
        await asyncio.sleep(60)

    async with served(answer, silence_seconds=0.3) as client:
        with pytest.raises(UnavailableError, match=r"sent nothing for 0\.3 s") as caught:
            await collect(client)
        assert caught.value.reason == "LLM_SILENT"
        assert not await client.ready(timeout=0.3)


async def test_the_deadline_is_kept_even_if_the_engine_forgets_it() -> None:
    async def answer(request: Any, context: Any) -> None:
        while True:
            await context.write(response(llm_pb2.GenerateEvent(heartbeat=llm_pb2.HeartbeatEvent())))
            await asyncio.sleep(0.05)

    async with served(answer, silence_seconds=1.0) as client:
        with pytest.raises(DeadlineError, match="allow more time"):
            await collect(client, timeout=0.3)


async def test_errors_keep_class_reason_and_metadata() -> None:
    errors = [
        QueueFullError("full", retry_after_seconds=3),
        ModelOutputError("silent", reason="NO_AUDIO"),
        CancelledByCallerError("gone"),
    ]
    for error in errors:

        async def answer(request: Any, context: Any, error: UniaudioError = error) -> None:
            text = llm_wire.error_to_text(error)
            await context.write(service_pb2.ModelStreamInferResponse(error_message=text))

        async with served(answer) as client:
            with pytest.raises(type(error)) as caught:
                await collect(client)
        assert caught.value.reason == error.reason
        assert caught.value.metadata == error.metadata


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Stub process 'uniaudio_llm_0_0' is not healthy.", UnavailableError),
        ("Request for unknown model: 'uniaudio_llm' has no available versions", UnavailableError),
        ("something else", UniaudioError),
    ],
)
async def test_tritons_own_errors(text: str, kind: type[UniaudioError]) -> None:
    async def answer(request: Any, context: Any) -> None:
        await context.write(service_pb2.ModelStreamInferResponse(error_message=text))

    async with served(answer, connect_seconds=1.0) as client:
        with pytest.raises(UniaudioError, match=r"something|healthy|unknown") as caught:
            await collect(client)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("text", "num_asked"),
    [
        ("Request for unknown model: 'uniaudio_llm' has no available versions", 2),
        ("Stub process 'uniaudio_llm_0_0' is not healthy.", 1),  # the next one might die of it, too
    ],
)
async def test_what_a_replica_that_ends_refuses_is_asked_for_again(text: str, num_asked: int) -> None:
    asked = []

    async def answer(request: Any, context: Any) -> None:
        asked.append(request)
        first = service_pb2.ModelStreamInferResponse(error_message=text)
        await context.write(first if len(asked) == 1 else response(FINISH))

    async with served(answer) as client:
        if num_asked == 1:
            with pytest.raises(UnavailableError):
                await collect(client)
        else:
            assert isinstance((await collect(client))[-1], FinishEvent)
    assert len(asked) == num_asked


class Kept:
    """Answers generations by `responses`, and keeps what was asked and which streams were cancelled."""

    def __init__(self, *responses: Any, ends: bool = True) -> None:
        self._responses = responses
        self._may_end = asyncio.Event()
        if ends:
            self._may_end.set()
        self.requests: list[Any] = []
        self.num_ended = self.num_cancelled = 0

    async def answer(self, request: Any, context: Any) -> None:
        self.requests.append(request)
        try:
            if llm_wire.STOP in request.parameters:
                self._may_end.set()
                return
            for response in self._responses:
                await context.write(response)
            await self._may_end.wait()
            await asyncio.sleep(0.1)  # the last word takes a while
        except asyncio.CancelledError:
            self.num_cancelled += 1
            raise
        self.num_ended += 1


async def test_a_stream_given_up_is_stopped_by_a_request_and_read_to_its_end() -> None:
    kept = Kept(response(patch(0), np.zeros((5, 2), np.float32)), ends=False)
    async with served(kept.answer) as client:
        async with aclosing(client.generate(OPTIONS)) as events:
            assert isinstance(await anext(events), PatchEvent)
        waiting = asyncio.create_task(collect(client))
        while len(kept.requests) < 3:
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    asked, stops = kept.requests[:1], [one for one in kept.requests if llm_wire.STOP in one.parameters]
    assert asked[0].parameters[llm_wire.GENERATION].string_param == (
        stops[0].parameters[llm_wire.STOP].string_param
    )
    assert (len(kept.requests), len(stops)) == (4, 2)
    assert (kept.num_ended, kept.num_cancelled) == (2, 0)


async def test_of_several_replicas_the_one_that_generates_is_told_to_stop() -> None:
    replicas = [Kept(response(patch(0), np.zeros((5, 2), np.float32)), ends=False) for _ in range(2)]
    first, second = replicas
    async with (
        serving(first.answer) as one,
        serving(second.answer) as other,
        LlmClient(f"ipv4:127.0.0.1:{one},127.0.0.1:{other}") as client,
    ):
        while not (first.requests and second.requests):
            async with aclosing(client.generate(OPTIONS)) as events:
                await anext(events)
    for replica in replicas:
        names = [
            {one.parameters[key].string_param for one in replica.requests if key in one.parameters}
            for key in (llm_wire.GENERATION, llm_wire.STOP)
        ]
        assert names[0] == names[1]


@pytest.mark.parametrize(
    "last",
    [
        response(FINISH),
        service_pb2.ModelStreamInferResponse(error_message=llm_wire.error_to_text(QueueFullError("full"))),
    ],
)
async def test_a_stream_left_at_its_last_answer_is_read_to_its_end(last: Any) -> None:
    kept = Kept(last)
    async with served(kept.answer) as client:
        async with aclosing(client.generate(OPTIONS)) as events:
            with suppress(QueueFullError):
                await anext(events)
        assert kept.num_ended == 0
    assert (len(kept.requests), kept.num_ended, kept.num_cancelled) == (1, 1, 0)


async def test_a_stream_that_ends_too_early_is_told() -> None:
    async def answer(request: Any, context: Any) -> None:
        last = response(patch(0), np.zeros((5, 2), np.float32))
        last.infer_response.parameters["triton_final_response"].bool_param = True
        await context.write(last)

    async with served(answer) as client:
        with pytest.raises(UnavailableError, match="before the generation was over"):
            await collect(client)


async def test_a_tensor_without_its_bytes_is_refused() -> None:
    async def answer(request: Any, context: Any) -> None:
        await context.write(response(patch(0), np.zeros((5, 2), np.float32), cut=40))

    async with served(answer) as client:
        with pytest.raises(UnavailableError, match=r"came with 0 bytes.*numpy 1\.26"):
            await collect(client)


async def test_a_probe_whose_tensor_changed_is_not_ready() -> None:
    async def answer(request: Any, context: Any) -> None:
        await context.write(response(FINISH, np.zeros((2, 3), np.float32)))

    async with served(answer) as client:
        with pytest.raises(UnavailableError, match="does not send tensors back as they were"):
            await client.check_ready()


async def test_nobody_there_is_told_within_the_connection_time(free_port: Callable[[], int]) -> None:
    async with LlmClient(f"127.0.0.1:{free_port()}", connect_seconds=0.3) as client:
        with pytest.raises(UnavailableError, match=r"took no connection for 0\.3 s") as caught:
            await collect(client)
        assert caught.value.reason == "LLM_AWAY"
        assert not await client.ready(timeout=0.2)
