"""Sends odd messages to every RPC of running services: `python -m tests.fuzz.rpcs CALLS SEED LAST_INPUT`."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.rpc import error_details_pb2, status_pb2

from services.tokenizer.local import make_server
from services.tokenizer.settings import Settings
from tests.fake_tokenizer import FakeStepModel
from tests.fakes_speech import FakeLanguageModel
from tests.fuzz.messages import serialized
from tests.fuzz.watching import Watch
from tests.job_service_house import running_jobs
from tests.orchestrator_house import answer, running_house
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.logging import setup_logging
from uniaudio.v1 import jobs_pb2, provenance_pb2, speech_pb2, tokenizer_pb2, voices_pb2

_AT_ONCE = 4
_CALL_SECONDS = 20.0
_LONGEST_ANSWER = 200
# What a service says of a request, or of itself under load; anything else is a fault of ours.
_FINE = {
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED, grpc.StatusCode.PERMISSION_DENIED,
}  # fmt: skip
_OF_GRPC = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
_FINE_REASONS = {"MODEL_OUTPUT"}
"""The fake model answers the same to everything, so it may well have answered nothing of use."""


def methods() -> list[MethodDescriptor]:
    """Every method of every service."""
    files = (speech_pb2, jobs_pb2, provenance_pb2, voices_pb2, tokenizer_pb2)
    return [
        method
        for file in files
        for service in file.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


@asynccontextmanager
async def services(folder: Path) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    """All services, their models faked, and a channel to each by its name."""
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(running_house())
        jobs = await stack.enter_async_context(running_jobs(folder, FakeLanguageModel(answer)))
        tokenizer = make_server(Settings(model_dir=Path(), port=0, grace_seconds=1), FakeStepModel())
        port = await tokenizer.start()
        stack.push_async_callback(tokenizer.stop)
        channels = {
            "EditJobService": await stack.enter_async_context(_channel(jobs.port)),
            "TokenizerService": await stack.enter_async_context(_channel(port)),
        }
        others = dict.fromkeys(("SpeechService", "ProvenanceService", "VoiceService"), house.channel)
        yield {**others, **channels}


def _channel(port: int) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(f"127.0.0.1:{port}")


async def fuzz(num_calls: int, seed: int, watch: Watch) -> None:
    """Every call is answered, or refused with an error of ours; anything else ends the run."""
    places = asyncio.Semaphore(_AT_ONCE)
    with TemporaryDirectory() as folder:
        async with services(Path(folder)) as channels:

            async def one(number: int) -> None:
                async with places:
                    if number == num_calls // 4:
                        watch.warm()
                    rng = random.Random(f"{seed}-{number}")
                    method = rng.choice(methods())
                    watch.outcomes[await _outcome(rng, method, channels, number)] += 1

            async with asyncio.TaskGroup() as group:
                for number in range(num_calls):
                    group.create_task(one(number))


async def _outcome(
    rng: random.Random, method: MethodDescriptor, channels: dict[str, grpc.aio.Channel], number: int
) -> str:
    service = method.containing_service
    how_many = rng.choice((0, 1, 1, 2, 4)) if method.client_streaming else 1
    requests = [serialized(rng, method.input_type) for _ in range(how_many)]
    call = channels[service.name].stream_stream(f"/{service.full_name}/{method.name}")(
        iter(requests), timeout=_CALL_SECONDS
    )
    keep_status(call)
    try:
        num_answers = 0
        while await call.read() is not grpc.aio.EOF and num_answers < _LONGEST_ANSWER:
            num_answers += 1
    except grpc.aio.AioRpcError as error:
        return f"{method.name} {_judged(error, f'call {number}, {method.full_name}')}"
    finally:
        call.cancel()
    return f"{method.name} OK"


def _judged(error: grpc.aio.AioRpcError, where: str) -> str:
    """What the call ended with; fails for what no request should bring about."""
    code, reason = error.code(), _reason(error)
    assert code in _FINE or reason in _FINE_REASONS, f"{where}: {code} {reason} {error.details()}"
    assert reason or code in _OF_GRPC, f"{where}: {code} without a reason, {error.details()}"
    return reason or code.name


def _reason(error: grpc.aio.AioRpcError) -> str:
    trailers: dict[str, Any] = dict(error.trailing_metadata() or ())
    info = error_details_pb2.ErrorInfo()
    status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
    return info.reason if any(detail.Unpack(info) for detail in status.details) else ""


def main(num_calls: int, seed: int, last_input: Path) -> None:
    """Runs, and tells the outcome."""
    setup_logging("fuzz", "error")
    watch = Watch(last_input)
    watch.begin()
    asyncio.run(fuzz(num_calls, seed, watch))
    watch.tell()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
