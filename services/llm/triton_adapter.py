"""The thin layer between Triton's Python backend and ours; `pb_utils` is Triton's module, passed in.

It exists only inside Triton's stub process, so it is an argument and never an import.
"""

from __future__ import annotations

import json
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from services.llm.backend import Backend, Latents
from uniaudio.engine.engine import EngineStats
from uniaudio.errors import (
    CancelledByCallerError,
    InvalidInputError,
    StartupError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime import llm_wire
from uniaudio.v1 import llm_pb2

_QUEUE_BUCKETS_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0)
_GAUGES = {
    "num_running": ("uniaudio_engine_running", "Generations stepped together."),
    "num_waiting": ("uniaudio_engine_waiting", "Generations in the queue."),
    "kv_positions": ("uniaudio_engine_kv_positions", "LLM positions held by running generations."),
    "max_kv_positions": ("uniaudio_engine_kv_positions_limit", "LLM positions that there are."),
}
_COUNTERS = {
    "num_steps": ("uniaudio_engine_steps_total", "Steps of the engine."),
    "num_tokens": ("uniaudio_engine_tokens_total", "Text tokens made."),
    "num_patches": ("uniaudio_engine_patches_total", "Patches of speech made."),
    "audio_seconds": ("uniaudio_engine_audio_seconds_total", "Seconds of speech made."),
    "num_finished": ("uniaudio_engine_finished_total", "Generations that ended well."),
    "num_failed": ("uniaudio_engine_failed_total", "Generations that failed."),
    "num_cancelled": ("uniaudio_engine_cancelled_total", "Generations given up by their callers."),
    "num_preempted": ("uniaudio_engine_preempted_total", "Times that a generation lost its blocks."),
    "num_underruns": ("uniaudio_engine_underruns_total", "Patches later than a listener needed them."),
}


def check_numpy() -> None:
    """Refuses numpy 2: under it the stub sends every tensor with the right shape and no bytes."""
    if int(np.__version__.split(".", 1)[0]) >= 2:
        raise StartupError(
            f"numpy {np.__version__} is installed; Triton's Python stub sends empty tensors under numpy 2: "
            "install numpy 1.26 (the extra `llm` pins it)"
        )


class TritonStream:
    """A request's response sender as a `ResponseStream`."""

    def __init__(self, pb_utils: Any, sender: Any) -> None:
        self._pb = pb_utils
        self._sender = sender
        self._is_given_up = False

    def give_up(self) -> None:
        """Its client wants no more of it, and says so where cancelling its stream would endanger the others."""
        self._is_given_up = True

    def send(self, event: llm_pb2.GenerateEvent, latents: Latents | None) -> None:
        outputs = [self._pb.Tensor(llm_wire.EVENT, np.array([event.SerializeToString()], dtype=np.object_))]
        if latents is not None:
            outputs.append(self._pb.Tensor(llm_wire.LATENTS, np.ascontiguousarray(latents)))
        self._sender.send(self._pb.InferenceResponse(output_tensors=outputs))

    def fail(self, error: UniaudioError) -> None:
        triton_error = self._pb.TritonError(llm_wire.error_to_text(error), self._code(error))
        self._end(self._pb.InferenceResponse(error=triton_error))

    def close(self) -> None:
        self._end(None)

    def is_cancelled(self) -> bool:
        return self._is_given_up or bool(self._sender.is_cancelled())

    def _end(self, last: Any) -> None:
        # A sender that outlives the stub's shared memory crashes the stub, so it goes with its last word.
        sender, self._sender = self._sender, None
        arguments = () if last is None else (last,)
        sender.send(*arguments, flags=self._pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _code(self, error: UniaudioError) -> Any:
        codes = self._pb.TritonError
        if isinstance(error, InvalidInputError):
            return codes.INVALID_ARG
        if isinstance(error, CancelledByCallerError):
            return codes.CANCELLED
        if isinstance(error, UnavailableError):
            return codes.UNAVAILABLE
        return codes.INTERNAL


class TritonMeters:
    """The engine's numbers on Triton's metrics endpoint."""

    def __init__(self, pb_utils: Any) -> None:
        family = pb_utils.MetricFamily
        self._families: list[Any] = []  # a metric lives as long as its family

        def metric(name: str, description: str, kind: Any, **options: Any) -> Any:
            owner = family(name=name, description=description, kind=kind)
            self._families.append(owner)
            return owner.Metric(labels={"model": llm_wire.MODEL_NAME}, **options)

        self._gauges = {key: metric(*texts, family.GAUGE) for key, texts in _GAUGES.items()}
        self._counters = {key: metric(*texts, family.COUNTER) for key, texts in _COUNTERS.items()}
        self._queue_seconds = metric(
            "uniaudio_engine_queue_seconds",
            "Seconds between arrival and first step.",
            family.HISTOGRAM,
            buckets=list(_QUEUE_BUCKETS_SECONDS),
        )
        self._told: EngineStats | None = None

    def close(self) -> None:
        """Gives the metrics back while Triton still listens; left to the end of Python they crash the stub."""
        self._gauges.clear()
        self._counters.clear()
        self._queue_seconds = None
        self._families.clear()

    def observe_queue_seconds(self, seconds: float) -> None:
        self._queue_seconds.observe(seconds)

    def set_stats(self, stats: EngineStats) -> None:
        if stats == self._told:
            return
        before = self._told or EngineStats()
        for key, gauge in self._gauges.items():
            gauge.set(getattr(stats, key))
        for key, counter in self._counters.items():
            more = getattr(stats, key) - getattr(before, key)
            if more:
                counter.increment(more)
        self._told = stats


class TritonRequests:
    """Hands Triton's requests to the backend; their answers come later, on their streams."""

    def __init__(self, pb_utils: Any, backend: Backend) -> None:
        self._pb = pb_utils
        self._backend = backend
        # By the name that the client gave; a stream is kept as long as the backend answers on it.
        self._streams: WeakValueDictionary[str, TritonStream] = WeakValueDictionary()

    def execute(self, requests: list[Any]) -> None:
        """Takes what Triton gives at once."""
        for request in requests:
            self._take(request)

    def _take(self, request: Any) -> None:
        stream = TritonStream(self._pb, request.get_response_sender())
        parameters: dict[str, Any] = json.loads(request.parameters() or "{}")
        if (name := parameters.get(llm_wire.STOP)) is not None:
            if (given_up := self._streams.get(name)) is not None:
                given_up.give_up()
            stream.close()
            return
        tensor = self._pb.get_input_tensor_by_name(request, llm_wire.LATENTS)
        # The tensor lies in memory that Triton takes back when this call returns.
        latents = None if tensor is None else np.array(tensor.as_numpy(), dtype=np.float32)
        if parameters.get(llm_wire.PROBE):
            self._backend.probe(latents, stream)
            return
        if (name := parameters.get(llm_wire.GENERATION)) is not None:
            self._streams[name] = stream
        options = self._pb.get_input_tensor_by_name(request, llm_wire.OPTIONS).as_numpy()
        headers = {key: value for key, value in parameters.items() if isinstance(value, str)}
        self._backend.generate(bytes(options.reshape(-1)[0]), latents, headers, stream)
