"""Sends odd messages to every RPC of running services: `python -m tests.fuzz.rpcs FIRST COUNT SEED LAST_INPUT`."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import random
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

import uniaudio.v1
from services.tokenizer.local import make_server
from services.tokenizer.settings import Settings
from tests.fake_tokenizer import FakeStepModel
from tests.fakes_speech import FakeLanguageModel
from tests.fuzz.fine import fine_requests
from tests.fuzz.messages import serialized
from tests.fuzz.metadata import odd_metadata
from tests.fuzz.watching import Batch, Watch
from tests.job_service_house import running_jobs
from tests.orchestrator_house import answer, running_house
from tests.tokenizer_door import door_before
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.logging import setup_logging

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


@cache
def methods() -> tuple[MethodDescriptor, ...]:
    """Every method of every service that the contract has."""
    names = (module.name for module in pkgutil.iter_modules(uniaudio.v1.__path__, "uniaudio.v1."))
    files = [importlib.import_module(name).DESCRIPTOR for name in names if name.endswith("_pb2")]
    services = [service for file in files for service in file.services_by_name.values()]
    return tuple(method for service in services for method in service.methods)


@dataclass(frozen=True)
class House:
    """All services, their models faked: channels to each by its name, and a fine request of each method by its."""

    channels: Mapping[str, Sequence[grpc.aio.Channel]]
    fine: Mapping[str, Sequence[Message]]


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[House]:
    """Everything, stopped at the end. The tokenizer is reached by itself and by the door that callers have."""
    async with AsyncExitStack() as stack:
        front = await stack.enter_async_context(running_house())
        jobs = await stack.enter_async_context(running_jobs(folder, FakeLanguageModel(answer)))
        tokenizer = make_server(Settings(model_dir=Path(), port=0, grace_seconds=1), FakeStepModel())
        port = await tokenizer.start()
        stack.push_async_callback(tokenizer.stop)
        door = await stack.enter_async_context(door_before(_address(port)))
        jobs_channel, inside, outside = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address))
            for address in (_address(jobs.port), _address(port), door)
        ]
        channels = {
            **dict.fromkeys(("SpeechService", "ProvenanceService", "VoiceService"), (front.channel,)),
            "EditJobService": (jobs_channel,),
            "TokenizerService": (inside, outside),
        }
        yield House(channels, await fine_requests(jobs.client))


def _address(port: int) -> str:
    return f"127.0.0.1:{port}"


async def fuzz(batch: Batch, watch: Watch) -> None:
    """Every call is answered, or refused with an error of ours; anything else ends the run."""
    places = asyncio.Semaphore(_AT_ONCE)
    with TemporaryDirectory() as folder:
        async with running(Path(folder)) as house, asyncio.TaskGroup() as group:

            async def one(number: int) -> None:
                try:
                    watch.outcomes[await _outcome(batch.random(number), house, number)] += 1
                finally:
                    places.release()

            for number in batch.numbers:
                await places.acquire()
                if batch.is_warm(number):
                    watch.warm()
                group.create_task(one(number))


async def _outcome(rng: random.Random, house: House, number: int) -> str:
    method = methods()[number % len(methods())]
    service = method.containing_service
    channel = rng.choice(house.channels[service.name])
    requests = _requests(rng, method, house.fine.get(method.name, ()))
    make_call: Any = channel.stream_stream(f"/{service.full_name}/{method.name}")
    call = make_call(iter(requests), timeout=_CALL_SECONDS, metadata=odd_metadata(rng))
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


def _requests(rng: random.Random, method: MethodDescriptor, fine: Sequence[Message]) -> list[bytes]:
    if not method.client_streaming:
        return [serialized(rng, method.input_type, fine[0] if fine else None)]
    if rng.random() < 0.5:
        odd = rng.randrange(len(fine))
        return [
            serialized(rng, method.input_type, message) if index == odd else message.SerializeToString()
            for index, message in enumerate(fine)
        ]
    return [serialized(rng, method.input_type) for _ in range(rng.choice((0, 1, 1, 2, 4)))]


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


def main(batch: Batch) -> None:
    """Runs, and tells the outcome."""
    setup_logging("fuzz", "error")
    watch = Watch()
    watch.begin()
    asyncio.run(fuzz(batch, watch))
    watch.tell()


if __name__ == "__main__":
    main(Batch.of(sys.argv[1:]))
