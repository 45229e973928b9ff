"""One connected trace of an edit, with every hop in it, received by a real OTLP receiver."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.stack

# Every hop of an edit by the model: who makes the span, and a part of its name.
HOPS = {
    "the caller": ("uniaudio-cli", "SpeechService/Edit"),
    "the orchestrator": ("orchestrator", "SpeechService/Edit"),
    "the orchestrator's call of the tokenizer": ("orchestrator", "TokenizerService/"),
    "the tokenizer": ("tokenizer", "TokenizerService/"),
    "the orchestrator's call of Triton": ("orchestrator", "ModelStreamInfer"),
    "Triton": ("llm", "InferRequest"),
    "the engine": ("llm", "engine"),
}


def _hop(spans: list[ReceivedSpan], service: str, name: str) -> list[ReceivedSpan]:
    return [span for span in spans if service in span.service and name in span.name]


def _edit_traces(spans: list[ReceivedSpan]) -> list[list[ReceivedSpan]]:
    """The spans of each trace that a caller's edit began."""
    roots = _hop(spans, *HOPS["the caller"])
    return [[span for span in spans if span.trace_id == root.trace_id] for root in roots]


def _missing(trace: list[ReceivedSpan]) -> list[str]:
    return [name for name, hop in HOPS.items() if not _hop(trace, *hop)]


def _edit_by_model(stack: Stack, receiver: OtlpReceiver, result: Path) -> None:
    recording = str(ROOT / "docs/hello.flac")
    command = ["edit", recording, "make it sound happy", "--engine", "model", "-o", str(result)]
    subprocess.run(
        [sys.executable, "-m", "uniaudio.cli", *command],
        env={**os.environ, **receiver.environment, **stack.environment},
        timeout=100,
        check=False,  # a model with random weights may well answer with text alone
        capture_output=True,
    )


def test_an_edit_is_one_trace_with_every_hop(
    stack: Stack, otlp_receiver: OtlpReceiver, tmp_path: Path
) -> None:
    # Triton's exporter loses a span now and then: three edits, one whole trace.
    for _ in range(3):
        _edit_by_model(stack, otlp_receiver, tmp_path / "edited.wav")
        spans = otlp_receiver.wait_for(
            lambda received: any(not _missing(trace) for trace in _edit_traces(received)), seconds=15
        )
        trace = min(_edit_traces(spans), key=lambda trace: len(_missing(trace)), default=[])
        if trace and not _missing(trace):
            break
    seen = sorted({(span.service, span.name) for span in trace})
    assert not _missing(trace), f"no span of {_missing(trace)}; the trace has {seen}"

    by_id = {span.span_id: span for span in trace}
    lost = {"uniaudio_llm", "compute"}  # below an InferRequest, which may be the span that Triton lost
    orphans = [
        span for span in trace if span.parent_id and span.parent_id not in by_id and span.name not in lost
    ]
    assert not orphans, f"spans whose parents nobody sent: {[(span.service, span.name) for span in orphans]}"
    assert len([span for span in trace if not span.parent_id]) == 1, "one root: everything hangs together"
    for caller, callee in (
        ("the caller", "the orchestrator"),
        ("the orchestrator's call of the tokenizer", "the tokenizer"),
        ("the orchestrator's call of Triton", "Triton"),
        ("the orchestrator's call of Triton", "the engine"),
    ):
        above = {span.span_id for span in _hop(trace, *HOPS[caller])}
        assert any(_has_ancestor(span, above, by_id) for span in _hop(trace, *HOPS[callee])), (
            f"{callee} is not below {caller}"
        )


def _has_ancestor(span: ReceivedSpan, wanted: set[str], by_id: dict[str, ReceivedSpan]) -> bool:
    parent = span.parent_id
    while parent in by_id:
        if parent in wanted:
            return True
        parent = by_id[parent].parent_id
    return False


def test_a_trace_may_begin_at_the_gateway(stack: Stack, otlp_receiver: OtlpReceiver) -> None:
    with httpx.Client(base_url=stack.gateway, timeout=100) as http:
        with (ROOT / "docs/hello.flac").open("rb") as recording:
            assert http.post("/v1/audio/transcriptions", files={"file": recording}).status_code == 200

    def traced(spans: list[ReceivedSpan]) -> bool:
        roots = [span.trace_id for span in _hop(spans, "gateway", "POST /v1/audio/transcriptions")]
        return any(span.trace_id in roots for span in _hop(spans, "orchestrator", "SpeechService/Transcribe"))

    assert traced(otlp_receiver.wait_for(traced, seconds=15))


@pytest.mark.parametrize("service", ["orchestrator", "tokenizer", "llm"])
def test_every_service_sends_metrics(stack: Stack, otlp_receiver: OtlpReceiver, service: str) -> None:
    assert otlp_receiver.wait_for_metrics_of(service, seconds=30), f"no metric from {service}"
    waiting = otlp_receiver.wait_for_number(service, "uniaudio.queued_audio", seconds=30)
    assert waiting is not None, f"{service} does not tell what waits"
    assert waiting.value >= 0
