"""Triton's requests, responses and metrics, with a stand-in for the module that only its stub has."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from services.llm.backend import Latents, ResponseStream
from services.llm.triton_adapter import TritonMeters, TritonRequests, TritonStream
from uniaudio.engine.engine import EngineStats
from uniaudio.errors import (
    CancelledByCallerError,
    InvalidInputError,
    LimitExceededError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime import llm_wire
from uniaudio.v1 import llm_pb2


class Tensor:
    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name = name
        self.array = array

    def as_numpy(self) -> np.ndarray:
        return self.array


class InferenceResponse:
    def __init__(self, output_tensors: Any = (), error: Any = None) -> None:
        self.tensors = {tensor.name: tensor for tensor in output_tensors}
        self.error = error


class TritonError:
    INVALID_ARG, CANCELLED, UNAVAILABLE, INTERNAL = "INVALID_ARG", "CANCELLED", "UNAVAILABLE", "INTERNAL"

    def __init__(self, message: str, code: str) -> None:
        self.message, self.code = message, code


class Metric:
    def __init__(self) -> None:
        self.value, self.observed = 0.0, []

    def set(self, value: float) -> None:
        self.value = value

    def increment(self, value: float) -> None:
        self.value += value

    def observe(self, value: float) -> None:
        self.observed.append(value)


class MetricFamily:
    GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
    made: dict[str, Metric]

    def __init__(self, name: str, description: str, kind: str) -> None:
        self.name = name

    def Metric(self, labels: dict[str, str], buckets: Any = None) -> Metric:
        return self.made.setdefault(self.name, Metric())


class PbUtils:
    """Triton's `triton_python_backend_utils`, as far as we use it."""

    Tensor, InferenceResponse, TritonError = Tensor, InferenceResponse, TritonError
    TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1

    def __init__(self) -> None:
        self.metrics: dict[str, Metric] = {}
        self.MetricFamily = type("MetricFamily", (MetricFamily,), {"made": self.metrics})

    @staticmethod
    def get_input_tensor_by_name(request: Request, name: str) -> Tensor | None:
        return request.tensors.get(name)


class Sender:
    def __init__(self) -> None:
        self.sent: list[tuple[InferenceResponse | None, int]] = []

    def send(self, response: InferenceResponse | None = None, flags: int = 0) -> None:
        self.sent.append((response, flags))

    def is_cancelled(self) -> bool:
        return False


class Request:
    def __init__(self, parameters: dict[str, Any], **tensors: np.ndarray) -> None:
        self.tensors = {name: Tensor(name, array) for name, array in tensors.items()}
        self._parameters = json.dumps(parameters)
        self.sender = Sender()

    def parameters(self) -> str:
        return self._parameters

    def get_response_sender(self) -> Sender:
        return self.sender


class KeepingBackend:
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.streams: list[ResponseStream] = []

    def generate(
        self, options: bytes, latents: Latents | None, headers: dict[str, str], stream: ResponseStream
    ) -> None:
        self.calls.append(("generate", options, latents, headers))
        self.streams.append(stream)

    def probe(self, latents: Latents | None, stream: ResponseStream) -> None:
        self.calls.append(("probe", latents))


def test_requests_reach_the_backend_with_a_copy_of_their_latents() -> None:
    shared = np.ones((5, 2), np.float32)
    options = np.array([b"bytes"], dtype=np.object_)
    backend = KeepingBackend()
    requests = [
        Request({"traceparent": "00-x", "n": 1}, options=options, latents=shared),
        Request({}, options=options),
        Request({llm_wire.PROBE: True}, options=options, latents=shared),
    ]
    TritonRequests(PbUtils(), backend).execute(requests)  # type: ignore[arg-type]
    shared[:] = 0
    first, second, probe = backend.calls
    assert first[1] == b"bytes"
    assert (first[2] == 1).all()
    assert first[3] == {"traceparent": "00-x"}
    assert second[2] is None
    assert probe[0] == "probe"


def test_a_stop_gives_up_the_generation_that_it_names_and_is_answered_by_its_end() -> None:
    options = np.array([b""], dtype=np.object_)
    backend = KeepingBackend()
    requests = TritonRequests(PbUtils(), backend)  # type: ignore[arg-type]
    requests.execute([Request({llm_wire.GENERATION: name}, options=options) for name in ("a", "b")])
    stops = [Request({llm_wire.STOP: name}, options=options) for name in ("b", "over long ago")]
    requests.execute(stops)
    assert [stream.is_cancelled() for stream in backend.streams] == [False, True]
    assert [stop.sender.sent for stop in stops] == [[(None, 1)], [(None, 1)]]
    assert len(backend.calls) == 2


def test_a_stream_ends_with_exactly_one_final_flag() -> None:
    sender = Sender()
    stream = TritonStream(PbUtils(), sender)
    event = llm_pb2.GenerateEvent(patch=llm_pb2.PatchEvent(index=3))
    stream.send(event, np.zeros((5, 2), np.float32))
    stream.close()
    response, flags = sender.sent[0]
    assert response is not None
    assert flags == 0
    assert response.tensors["event"].array[0] == event.SerializeToString()
    assert response.tensors["latents"].array.shape == (5, 2)
    assert sender.sent[1] == (None, 1)


def test_errors_take_tritons_codes() -> None:
    codes = {
        InvalidInputError("x"): "INVALID_ARG",
        LimitExceededError("x"): "INVALID_ARG",
        CancelledByCallerError("x"): "CANCELLED",
        UnavailableError("x"): "UNAVAILABLE",
        UniaudioError("x"): "INTERNAL",
    }
    for error, code in codes.items():
        sender = Sender()
        TritonStream(PbUtils(), sender).fail(error)
        response, flags = sender.sent[0]
        assert response is not None
        assert (response.error.code, flags) == (code, 1)
        found = llm_wire.error_from_text(response.error.message)
        assert type(found) is type(error)


def test_counters_grow_by_the_difference() -> None:
    pb_utils = PbUtils()
    meters = TritonMeters(pb_utils)
    meters.set_stats(EngineStats(num_running=2, num_tokens=5))
    meters.set_stats(EngineStats(num_running=1, num_tokens=9))
    meters.observe_queue_seconds(0.2)
    assert pb_utils.metrics["uniaudio_engine_running"].value == 1
    assert pb_utils.metrics["uniaudio_engine_tokens_total"].value == 9
    assert pb_utils.metrics["uniaudio_engine_queue_seconds"].observed == [0.2]
