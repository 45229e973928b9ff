"""How a generation travels through Triton's gRPC protocol; the client and the backend both read this.

A request carries tensor `options` (BYTES, one serialized GenerateOptions) and, where there is a
recording, `latents` (FP32, `(num_frames, latent_dim)`). A response carries `event` (BYTES, one
serialized GenerateEvent) and for a patch its `latents`. A request with the parameter `probe` is
answered with its own latents and a FinishEvent that names the model: proof that tensors survive the
way in both directions and that the engine steps. A generation's request names it by the parameter
`generation`, unique for each; a request on another stream with that name as parameter `stop` ends it.
"""

from __future__ import annotations

import json

from uniaudio.errors import UniaudioError
from uniaudio.runtime.status import all_error_classes

MODEL_NAME = "uniaudio_llm"
OPTIONS = "options"
LATENTS = "latents"
EVENT = "event"
PROBE = "probe"
GENERATION = "generation"
STOP = "stop"
# Request headers that reach the model beside the tensors: the trace's context.
FORWARDED_HEADERS = "traceparent|tracestate|x-.*"


def error_to_text(error: UniaudioError) -> str:
    """`error` as the message of a Triton error: JSON with its class, reason, message and metadata."""
    fields = {"reason": error.reason, "message": error.message, "metadata": error.metadata}
    return json.dumps({"uniaudio_error": type(error).__name__, **fields}, ensure_ascii=False)


def error_from_text(text: str) -> UniaudioError | None:
    """The error of our tree that the text was made from, or None where Triton itself wrote it."""
    start = text.find('{"uniaudio_error"')
    if start < 0:
        return None
    try:
        fields = json.loads(text[start:])
    except json.JSONDecodeError:
        return None  # cut off on the way: the caller then shows the text as it is
    classes = {cls.__name__: cls for cls in all_error_classes()}
    cls = classes.get(fields["uniaudio_error"], UniaudioError)
    return cls(fields["message"], reason=fields["reason"], **fields["metadata"])
