"""The service on Ray Serve: the deployment that adapts the servicer.

Import it only with `ray_environment` in the environment: Ray reads its switches when it is imported.
"""
# ruff: noqa: N802 - RPC names are the contract's

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeVar

import grpc
from grpc_health.v1 import health_pb2
from ray import serve
from ray.serve.config import AutoscalingConfig

from services.tokenizer.batcher import Batcher
from services.tokenizer.model import Step, StepResult, load_model
from services.tokenizer.servicer import SERVICE, TokenizerServicer
from services.tokenizer.sessions import queued_audio_seconds
from services.tokenizer.settings import SERVICE_NAME, Settings
from uniaudio.errors import UniaudioError
from uniaudio.runtime.calls import Call, CallRunner
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.queues import tell_queued_audio
from uniaudio.runtime.status import DETAILS_KEY, to_rich_status, to_status_code
from uniaudio.runtime.telemetry import setup_telemetry
from uniaudio.v1 import tokenizer_pb2

log = get_logger(__name__)

_WATCH_SECONDS = 2.0

RequestT = TypeVar("RequestT")
AnswerT = TypeVar("AnswerT")


class TokenizerDeployment:
    """One replica: the servicer, its model and its batcher. Ray calls the methods by their RPC names.

    Ray sends code, message and trailing metadata only with an answer, not with an exception: so errors
    are set on the context and an empty answer follows, which gRPC drops in favour of the status.
    """

    async def __init__(self, settings: Settings) -> None:  # type: ignore[misc]  # Ray awaits it
        # Serve redirects sys.stderr into a file of its own format; this one is followed by LogForwarder.
        setup_logging(SERVICE_NAME, settings.log_level, sys.__stderr__)
        self._shutdown_telemetry = setup_telemetry(SERVICE_NAME)
        model = await asyncio.to_thread(
            load_model,
            settings.model_dir,
            device=settings.device,
            dtype=settings.dtype,
            num_threads=settings.num_threads,
            reproducible=settings.reproducible,
        )
        self._batcher: Batcher[Step, StepResult] = Batcher(
            model.run, max_sessions=settings.max_sessions, max_batch_cost=settings.max_batch_frames
        )
        self._batcher.start()
        tell_queued_audio({"steps": lambda: queued_audio_seconds(self._batcher, model)})
        self._servicer = TokenizerServicer(model, self._batcher, idle_seconds=settings.idle_seconds)
        self._runner = CallRunner()
        self._is_serving = True
        await self._servicer.check_health()

    async def check_health(self) -> None:
        """Ray asks this every few seconds, and replaces the replica when it raises."""
        await self._servicer.check_health()

    def __del__(self) -> None:
        self._shutdown_telemetry()

    async def GetTokenizer(
        self, request: tokenizer_pb2.GetTokenizerRequest, grpc_context: Any
    ) -> tokenizer_pb2.GetTokenizerResponse:
        return await self._single(
            self._servicer.GetTokenizer, request, grpc_context, tokenizer_pb2.GetTokenizerResponse
        )

    async def Encode(
        self, request: tokenizer_pb2.EncodeRequest, grpc_context: Any
    ) -> tokenizer_pb2.EncodeResponse:
        return await self._single(self._servicer.Encode, request, grpc_context, tokenizer_pb2.EncodeResponse)

    async def Decode(
        self, request: tokenizer_pb2.DecodeRequest, grpc_context: Any
    ) -> tokenizer_pb2.DecodeResponse:
        return await self._single(self._servicer.Decode, request, grpc_context, tokenizer_pb2.DecodeResponse)

    async def Spell(
        self, request: tokenizer_pb2.SpellRequest, grpc_context: Any
    ) -> tokenizer_pb2.SpellResponse:
        return await self._single(self._servicer.Spell, request, grpc_context, tokenizer_pb2.SpellResponse)

    async def StreamEncode(
        self, requests: Any, grpc_context: Any
    ) -> AsyncGenerator[tokenizer_pb2.StreamEncodeResponse, None]:
        async for answer in self._stream(self._servicer.StreamEncode, requests, grpc_context):
            yield answer

    async def StreamDecode(
        self, requests: Any, grpc_context: Any
    ) -> AsyncGenerator[tokenizer_pb2.StreamDecodeResponse, None]:
        async for answer in self._stream(self._servicer.StreamDecode, requests, grpc_context):
            yield answer

    async def Check(
        self, request: health_pb2.HealthCheckRequest, grpc_context: Any
    ) -> health_pb2.HealthCheckResponse:
        """grpc.health.v1: whether this replica could answer now."""
        if request.service not in ("", SERVICE):
            grpc_context.set_code(grpc.StatusCode.NOT_FOUND)
            grpc_context.set_details(f"no service {request.service!r}; ask for {SERVICE!r} or ''")
            return health_pb2.HealthCheckResponse()
        return health_pb2.HealthCheckResponse(status=await self._health())

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, grpc_context: Any
    ) -> AsyncGenerator[health_pb2.HealthCheckResponse, None]:
        """grpc.health.v1: the health now, and again whenever it changes."""
        known = request.service in ("", SERVICE)
        shown: int | None = None
        while True:
            status = await self._health() if known else health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            if status != shown:
                shown = status
                yield health_pb2.HealthCheckResponse(status=status)
            await asyncio.sleep(_WATCH_SECONDS)

    async def _health(self) -> Any:
        try:
            await self._servicer.check_health()
        except Exception as error:  # noqa: BLE001 - whatever the model raises means "not now"
            if self._is_serving:
                log.warning("health", status="NOT_SERVING", cause=repr(error))
            self._is_serving = False
            return health_pb2.HealthCheckResponse.NOT_SERVING
        if not self._is_serving:
            log.info("health", status="SERVING")
        self._is_serving = True
        return health_pb2.HealthCheckResponse.SERVING

    async def _single(
        self,
        method: Callable[[RequestT], Awaitable[AnswerT]],
        request: RequestT,
        context: Any,
        empty: type[AnswerT],
    ) -> AnswerT:
        try:
            return await self._runner.single(_call_of(method, context), request, lambda: method(request))
        except UniaudioError as error:
            _set_status(context, error)
            return empty()

    async def _stream(
        self, method: Callable[..., Any], requests: Any, context: Any
    ) -> AsyncGenerator[Any, None]:
        call = _call_of(method, context)
        try:
            async with aclosing(self._runner.stream(call, None, lambda: method(requests))) as answers:
                async for answer in answers:
                    yield answer
        except UniaudioError as error:
            _set_status(context, error)


def _call_of(method: Callable[..., Any], context: Any) -> Call:
    return Call(f"/{SERVICE}/{method.__name__}", tuple(context.invocation_metadata()), context.peer())


def _set_status(context: Any, error: UniaudioError) -> None:
    status = to_rich_status(error)
    context.set_code(to_status_code(error))
    context.set_details(status.message)
    context.set_trailing_metadata([(DETAILS_KEY, status.SerializeToString())])


def make_application(settings: Settings, *, num_cpus: int = 0) -> serve.Application:
    """The deployment with its replicas, health checks and grace; each replica takes `num_cpus` of Ray's."""
    decorate: Any = serve.deployment(
        name=SERVICE_NAME,
        # Above our own bound, which refuses with a reason and leaves room for health checks.
        max_ongoing_requests=settings.max_sessions + 100,
        autoscaling_config=AutoscalingConfig(
            min_replicas=settings.min_replicas,
            initial_replicas=settings.min_replicas,
            max_replicas=max(settings.min_replicas, settings.max_replicas),
            target_ongoing_requests=settings.target_calls,
            upscale_delay_s=settings.upscale_delay_seconds,
            metrics_interval_s=1.0,
            look_back_period_s=max(2.0, settings.upscale_delay_seconds),
        ),
        health_check_period_s=2.0,
        health_check_timeout_s=30.0,
        graceful_shutdown_timeout_s=settings.grace_seconds,
        graceful_shutdown_wait_loop_s=0.2,
        ray_actor_options={"num_cpus": num_cpus, "num_gpus": 1 if settings.device.startswith("cuda") else 0},
    )
    application: serve.Application = decorate(TokenizerDeployment).bind(settings)
    return application
