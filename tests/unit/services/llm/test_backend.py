"""The LLM service's logic, without Triton and with a model that only counts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from services.llm.backend import Backend, Latents
from tests.fake_runner import FakeRunner
from uniaudio.engine.engine import Engine, EngineStats
from uniaudio.engine.request import EngineConfig
from uniaudio.errors import (
    CancelledByCallerError,
    InvalidInputError,
    QueueFullError,
    UnavailableError,
    UniaudioError,
)
from uniaudio.runtime.llm_wire import error_from_text, error_to_text
from uniaudio.v1 import audio_pb2, llm_pb2


class FakeStream:
    """Keeps what was sent."""

    def __init__(self, breaks: bool = False) -> None:
        self.sent: list[tuple[llm_pb2.GenerateEvent, Latents | None]] = []
        self.error: UniaudioError | None = None
        self.cancelled = False
        self.breaks = breaks
        self.ended = threading.Event()
        self.got_one = threading.Event()

    def send(self, event: llm_pb2.GenerateEvent, latents: Latents | None) -> None:
        if self.breaks:
            raise OSError("the client is gone")
        self.sent.append((event, latents))
        self.got_one.set()

    def fail(self, error: UniaudioError) -> None:
        self.error = error
        self.ended.set()

    def close(self) -> None:
        self.ended.set()

    def is_cancelled(self) -> bool:
        return self.cancelled

    def kinds(self) -> list[str | None]:
        return [event.WhichOneof("event") for event, _ in self.sent]


class FakeMeters:
    def __init__(self) -> None:
        self.queue_seconds: list[float] = []
        self.stats = EngineStats()

    def observe_queue_seconds(self, seconds: float) -> None:
        self.queue_seconds.append(seconds)

    def set_stats(self, stats: EngineStats) -> None:
        self.stats = stats


@contextmanager
def backend(
    runner: FakeRunner | None = None, **config: Any
) -> Iterator[tuple[Backend, Engine[Any], FakeMeters]]:
    runner = runner or FakeRunner()
    engine = Engine(None, EngineConfig(**config), make_runner=lambda _: runner)
    meters = FakeMeters()
    made = Backend(
        engine, audio_pb2.ModelInfo(name="fake"), meters, heartbeat_seconds=0.05, poll_seconds=0.01
    )
    try:
        yield made, engine, meters
    finally:
        if runner.gate is not None:
            runner.gate.set()
        made.close()


def speak(**task: Any) -> bytes:
    task = {"text": "four", "min_patches": 2, **task}
    return llm_pb2.GenerateOptions(request_id="same", speak=llm_pb2.SpeakTask(**task)).SerializeToString()


def test_a_generation_is_told_in_order_and_counted() -> None:
    stream = FakeStream()
    with backend() as (made, _, meters):
        made.generate(speak(), None, {}, stream)
        assert stream.ended.wait(10)
    assert stream.kinds() == ["patch"] * 4 + ["finish"]
    assert [event.patch.last for event, _ in stream.sent[:4]] == [False, False, False, True]
    assert all(latents is not None and latents.shape == (5, 2) for _, latents in stream.sent[:4])
    finish = stream.sent[-1][0].finish
    assert (finish.model.name, finish.num_patches) == ("fake", 4)
    assert len(meters.queue_seconds) == 1
    assert meters.stats.num_finished == 1


def test_the_log_has_a_line_for_each_generation() -> None:
    with backend() as (made, _, _), capture_logs() as lines:
        for options in (speak(), b"\xff"):
            stream = FakeStream()
            made.generate(options, None, {}, stream)
            assert stream.ended.wait(10)
    told = [
        (line["code"], line["request_id"].partition("#")[0])
        for line in lines
        if line["event"] == "generation"
    ]
    assert sorted(told) == [("INVALID_ARGUMENT", ""), ("OK", "same")]


def test_callers_may_use_one_request_id_many_times() -> None:
    streams = [FakeStream() for _ in range(3)]
    with backend() as (made, _, _meters):
        for stream in streams:
            made.generate(speak(), None, {}, stream)
        assert all(stream.ended.wait(10) for stream in streams)
    assert all(stream.error is None for stream in streams)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (b"\xff\xff\xff", "not a uniaudio.v1.GenerateOptions"),
        (b"", "set understand, speak, edit or follow"),
        (speak(text=" "), "text is empty"),
        (
            llm_pb2.GenerateOptions(deadline_milliseconds=-1).SerializeToString(),
            "deadline_milliseconds is -1",
        ),
    ],
)
def test_bad_options_are_told_on_the_stream(options: bytes, message: str) -> None:
    stream = FakeStream()
    with backend() as (made, _, _meters):
        made.generate(options, None, {}, stream)
        assert stream.ended.wait(10)
    assert isinstance(stream.error, InvalidInputError)
    assert message in stream.error.message


def test_a_client_that_cancels_is_noticed() -> None:
    stream = FakeStream()
    with backend(FakeRunner(num_spoken=10**6)) as (made, engine, _):
        made.generate(speak(max_patches=800), None, {}, stream)
        assert stream.got_one.wait(10)
        stream.cancelled = True
        assert stream.ended.wait(10)
        assert engine.stats().num_cancelled == 1
    assert isinstance(stream.error, CancelledByCallerError)


def test_a_client_that_breaks_is_forgotten_and_others_go_on() -> None:
    broken, good = FakeStream(breaks=True), FakeStream()
    with backend(FakeRunner(num_spoken=40)) as (made, _, meters):
        made.generate(speak(max_patches=800), None, {}, broken)
        made.generate(speak(max_patches=60), None, {}, good)
        assert good.ended.wait(10)
    assert good.kinds()[-1] == "finish"
    assert meters.stats.num_running == 0


def test_open_streams_hear_heartbeats_with_their_place() -> None:
    running, waiting = FakeStream(), FakeStream()
    with backend(FakeRunner(gate=threading.Event()), max_running=1) as (made, _, _meters):
        made.generate(speak(), None, {}, running)
        made.generate(speak(), None, {}, waiting)
        assert running.got_one.wait(10)
        assert waiting.got_one.wait(10)
        assert running.sent[0][0].heartbeat.num_ahead == 0
        assert waiting.sent[-1][0].heartbeat.num_ahead == 1


def test_a_full_queue_is_told_on_the_stream() -> None:
    streams = [FakeStream() for _ in range(4)]
    with backend(FakeRunner(gate=threading.Event()), max_running=1, max_waiting=1) as (made, _, _meters):
        for stream in streams:
            made.generate(speak(), None, {}, stream)
        assert streams[-1].ended.wait(10)
    assert isinstance(streams[-1].error, QueueFullError)


def test_a_probe_returns_its_tensor_and_the_name() -> None:
    stream = FakeStream()
    sent = np.ones((2, 3), np.float32)
    with backend() as (made, _, _meters):
        made.probe(sent, stream)
    event, latents = stream.sent[0]
    assert event.finish.model.name == "fake"
    assert latents is sent


def test_a_probe_fails_when_the_engine_has_stopped() -> None:
    stream = FakeStream()
    with backend() as (made, engine, _):
        engine.close()
        made.probe(None, stream)
    assert isinstance(stream.error, UnavailableError)


def test_errors_survive_the_way_through_triton() -> None:
    error = QueueFullError("full, 满", retry_after_seconds=3)
    found = error_from_text("Triton says: " + error_to_text(error))
    assert isinstance(found, QueueFullError)
    assert (found.message, found.reason, found.metadata) == (error.message, error.reason, error.metadata)
    assert error_from_text("Stub process 'x' is not healthy.") is None
    assert error_from_text('{"uniaudio_error": "cut of') is None
