"""How a generation travels through Triton's gRPC protocol; the client and the backend both read this.

A request carries tensor `options` (BYTES, one serialized GenerateOptions) and, where there is a
recording, `latents` (FP32, `(num_frames, latent_dim)`). A response carries `event` (BYTES, one
serialized GenerateEvent) and for a patch its `latents`. A request with the parameter `probe` is
answered with its own latents and a FinishEvent that names the model: proof that tensors survive the
way in both directions and that the engine steps.
"""

from __future__ import annotations

from google.protobuf import json_format
from google.rpc import status_pb2

from uniaudio.errors import UniaudioError
from uniaudio.runtime.status import error_from_rich_status, to_rich_status

MODEL_NAME = "uniaudio_llm"
OPTIONS = "options"
LATENTS = "latents"
EVENT = "event"
PROBE = "probe"
# Request headers that reach the model beside the tensors: the trace's context.
FORWARDED_HEADERS = "traceparent|tracestate|x-.*"


def error_to_text(error: UniaudioError) -> str:
    """`error` as the message of a Triton error: google.rpc.Status in JSON, reason and metadata kept."""
    return json_format.MessageToJson(to_rich_status(error), indent=None, ensure_ascii=False)


def error_from_text(text: str) -> UniaudioError | None:
    """The error of our tree that the text was made from, or None where Triton itself wrote it."""
    start = text.find("{")
    if start < 0:
        return None
    try:
        status = json_format.Parse(text[start:], status_pb2.Status())
    except json_format.ParseError:
        return None
    return error_from_rich_status(status)
