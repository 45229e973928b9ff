"""What the LLM service does with a request, without Triton: it needs only streams to answer on.

Engine events arrive on the engine's thread, which must not wait for a client. So one responder thread
writes to all streams; between events it looks for clients that went away and sends heartbeats.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
import numpy as np
import torch
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from opentelemetry import propagate
from opentelemetry.trace import Span, Status, StatusCode

from services.llm.translate import request_from_options, tensor_of, to_wire_event
from uniaudio.engine.engine import Engine, EngineStats
from uniaudio.engine.events import Event, FailureEvent, FinishEvent, StartEvent
from uniaudio.errors import CancelledByCallerError, InvalidInputError, UnavailableError, UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.status import to_status_code
from uniaudio.runtime.telemetry import CallSpan, get_tracer
from uniaudio.v1 import audio_pb2, llm_pb2

log = get_logger(__name__)

Latents = NDArray[np.float32]


class ResponseStream(Protocol):
    """Where the answers of one request go."""

    def send(self, event: llm_pb2.GenerateEvent, latents: Latents | None) -> None: ...

    def fail(self, error: UniaudioError) -> None: ...

    def close(self) -> None: ...

    def is_cancelled(self) -> bool: ...


class Meters(Protocol):
    """Where the engine's numbers go."""

    def observe_queue_seconds(self, seconds: float) -> None: ...

    def set_stats(self, stats: EngineStats) -> None: ...


@dataclass(eq=False)
class _Open:
    """A request that is not over."""

    engine_id: str
    stream: ResponseStream
    span: Span
    last_sent_at: float


class Backend:
    """Carries requests into the engine and its events back out.

    `check` raises UnavailableError while something that the engine needs is away; probes are told.
    """

    def __init__(
        self,
        engine: Engine[Any],
        info: audio_pb2.ModelInfo,
        meters: Meters,
        *,
        check: Callable[[], None] = lambda: None,
        heartbeat_seconds: float = 1.0,
        poll_seconds: float = 0.02,
    ) -> None:
        self._engine = engine
        self._info = info
        self._meters = meters
        self._check = check
        self._heartbeat_seconds = heartbeat_seconds
        self._poll_seconds = poll_seconds
        self._numbers = itertools.count()
        self._events: queue.SimpleQueue[tuple[_Open, Event | None]] = queue.SimpleQueue()
        self._open: set[_Open] = set()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._respond, name="uniaudio-responder", daemon=True)
        self._thread.start()

    def generate(
        self, options: bytes, latents: Latents | None, headers: Mapping[str, str], stream: ResponseStream
    ) -> None:
        """Queues one generation; everything that goes wrong is told on the stream."""
        span = get_tracer().start_span("engine.generate", propagate.extract(headers))
        try:
            message = _parse(options)
            engine_id = f"{message.request_id or 'request'}#{next(self._numbers)}"
            span.set_attribute("uniaudio.request_id", message.request_id)
            tensor = None if latents is None else torch.from_numpy(latents)
            request = request_from_options(
                engine_id,
                message,
                tensor,
                latent_dim=self._engine.latent_dim,
                preferred=self._engine.preferred_sampling,
            )
            entry = _Open(engine_id, stream, span, time.monotonic())
            self._events.put((entry, None))
            try:
                self._engine.submit(request, lambda event: self._events.put((entry, event)))
            except UniaudioError as error:
                self._events.put((entry, FailureEvent(error)))
        except UniaudioError as error:
            _end(span, error, request_id="")
            stream.fail(error)

    def probe(self, latents: Latents | None, stream: ResponseStream) -> None:
        """Answers with the same latents and the model's name, if the engine steps."""
        try:
            self._check_alive()
        except UnavailableError as error:
            stream.fail(error)
            return
        stream.send(llm_pb2.GenerateEvent(finish=llm_pb2.FinishEvent(model=self._info)), latents)
        stream.close()

    def _check_alive(self) -> None:
        if not self._engine.is_alive or not self._thread.is_alive():
            raise UnavailableError(
                "the engine has stopped; the service restarts it, try again in some seconds",
                value="stopped",
                limit="a running engine",
                remedy="try again in some seconds",
            )
        self._check()

    def close(self, *, drain_seconds: float = 0.0) -> None:
        """Lets running generations end for `drain_seconds`, fails the rest, and stops."""
        self._engine.close(drain_seconds=drain_seconds)
        self._is_closing.set()
        self._thread.join(timeout=10)

    # The responder thread, from here on.

    def _respond(self) -> None:
        polled_at = 0.0
        while not (self._is_closing.is_set() and self._events.empty()):
            try:
                entry, event = self._events.get(
                    timeout=self._poll_seconds if self._open else 10 * self._poll_seconds
                )
            except queue.Empty:
                pass
            else:
                self._handle(entry, event)
            now = time.monotonic()
            if now - polled_at >= self._poll_seconds:
                polled_at = now
                self._poll(now)

    def _handle(self, entry: _Open, event: Event | None) -> None:
        if event is None:
            self._open.add(entry)
            return
        if entry not in self._open:
            return  # its client is gone
        try:
            self._answer(entry, event)
        except Exception:
            log.exception("cannot answer", request_id=entry.engine_id)
            self._engine.cancel(entry.engine_id)
            self._forget(entry, _unreachable())

    def _answer(self, entry: _Open, event: Event) -> None:
        entry.last_sent_at = time.monotonic()
        match event:
            case StartEvent():
                self._meters.observe_queue_seconds(event.queue_seconds)
                entry.span.add_event("started", {"uniaudio.num_prompt_positions": event.num_positions})
            case FailureEvent():
                self._forget(entry, event.error)
                entry.stream.fail(event.error)
            case FinishEvent():
                _describe(entry.span, event)
                self._forget(entry, None)
                entry.stream.send(to_wire_event(event, self._info), None)
                entry.stream.close()
            case _:
                tensor = tensor_of(event)
                latents = None if tensor is None else tensor.numpy()
                entry.stream.send(to_wire_event(event, self._info), latents)

    def _poll(self, now: float) -> None:
        self._meters.set_stats(self._engine.stats())
        for entry in list(self._open):
            try:
                if entry.stream.is_cancelled():
                    self._engine.cancel(entry.engine_id)  # its last event ends the stream
                elif now - entry.last_sent_at >= self._heartbeat_seconds:
                    entry.last_sent_at = now
                    ahead = self._engine.num_ahead(entry.engine_id)
                    beat = llm_pb2.GenerateEvent(heartbeat=llm_pb2.HeartbeatEvent(num_ahead=ahead))
                    entry.stream.send(beat, None)
            except Exception:
                log.exception("cannot reach the client", request_id=entry.engine_id)
                self._engine.cancel(entry.engine_id)
                self._forget(entry, _unreachable())

    def _forget(self, entry: _Open, error: UniaudioError | None) -> None:
        self._open.discard(entry)
        _end(entry.span, error, request_id=entry.engine_id)


def _parse(options: bytes) -> llm_pb2.GenerateOptions:
    try:
        return llm_pb2.GenerateOptions.FromString(options)
    except DecodeError as error:
        raise InvalidInputError(
            f"the options tensor ({len(options)} bytes) is not a uniaudio.v1.GenerateOptions; "
            "send one serialized message",
            field="options",
            value=f"{len(options)} bytes",
            limit="one serialized uniaudio.v1.GenerateOptions",
            remedy="send one serialized message",
        ) from error


def _unreachable() -> CancelledByCallerError:
    return CancelledByCallerError("the client's stream takes no answer any more")


def _describe(span: Span, finish: FinishEvent) -> None:
    span.set_attributes(
        {
            "uniaudio.num_tokens": finish.num_tokens,
            "uniaudio.num_patches": finish.num_patches,
            "uniaudio.queue_seconds": finish.queue_seconds,
            "uniaudio.finish_reason": finish.reason.value,
        }
    )


def _end(span: Span, error: UniaudioError | None, *, request_id: str) -> None:
    """Ends a generation's span and says so in the log, with the trace that it belongs to."""
    told = {} if error is None else {"error": error.message}
    code = grpc.StatusCode.OK if error is None else to_status_code(error)
    log.info("generation", request_id=request_id, code=code.name, **told, **CallSpan(span).ids())
    if error is not None:
        span.set_status(Status(StatusCode.ERROR, error.reason))
    span.end()
