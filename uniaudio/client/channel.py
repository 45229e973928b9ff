"""Channels with this client's habits: large messages, bounded retries, a span around each call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from uniaudio.errors import UnavailableError, UniaudioError
from uniaudio.runtime.reconnecting import RECONNECTING
from uniaudio.runtime.status import error_from_rpc, to_status_code
from uniaudio.runtime.telemetry import CallSpan

DEFAULT_ADDRESS = "127.0.0.1:50051"
DEFAULT_TIMEOUT_SECONDS = 300.0
# A live stream may last an hour (speech.proto); the rest is for its last words.
STREAM_TIMEOUT_SECONDS = 3600.0 + 60.0
# An hour of audio may travel as slowly as it was spoken.
TRANSFER_TIMEOUT_SECONDS = 3600.0
# A job may wait for its turn and for its retries.
WATCH_TIMEOUT_SECONDS = 86_400.0

_MESSAGE_BYTES = 80 << 20
SPEECH_SERVICE = "uniaudio.v1.SpeechService"
EDIT_JOB_SERVICE = "uniaudio.v1.EditJobService"
PROVENANCE_SERVICE = "uniaudio.v1.ProvenanceService"
VOICE_SERVICE = "uniaudio.v1.VoiceService"
TOKENIZER_SERVICE = "uniaudio.v1.TokenizerService"
# Calls that answer once and are safe to send again, because a second one changes nothing more. gRPC itself
# repeats them, inside the call's deadline.
_RETRIED = {
    SPEECH_SERVICE: ["GetInfo", "Transcribe"],
    EDIT_JOB_SERVICE: ["CreateEditJob", "GetEditJob", "ListEditJobs", "CancelEditJob"],
    PROVENANCE_SERVICE: ["Verify", "GetKeys"],
    VOICE_SERVICE: ["CreateVoice", "GetVoice", "ListVoices", "RevokeVoice", "DeleteVoice", "ExportVoice"],
    TOKENIZER_SERVICE: ["GetTokenizer", "Encode", "Decode", "Spell"],
}
_SERVICE_CONFIG = {
    "methodConfig": [
        {
            "name": [
                {"service": service, "method": method}
                for service, methods in _RETRIED.items()
                for method in methods
            ],
            "retryPolicy": {
                "maxAttempts": 4,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    # The budget: a server that keeps failing is left alone after a few retries.
    "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.5},
}

Options = list[tuple[str, Any]]

_ALL: Options = [
    ("grpc.max_send_message_length", _MESSAGE_BYTES),
    ("grpc.max_receive_message_length", _MESSAGE_BYTES),
    ("grpc.service_config", json.dumps(_SERVICE_CONFIG)),
    *RECONNECTING,
]
# A watch may be silent for long: a peer that died without a word is noticed all the same.
_KEPT_ALIVE: Options = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000)]
_RETRY_BYTES = "grpc.per_rpc_retry_buffer_size"

# A request larger than the buffer (256 KiB by default) would not be sent again.
CHANNEL_OPTIONS: Options = [*_ALL, (_RETRY_BYTES, _MESSAGE_BYTES)]
SPEECH_CHANNEL_OPTIONS: Options = [*CHANNEL_OPTIONS, *_KEPT_ALIVE]
# An upload would fill the buffer, though it is never sent again from there.
JOBS_CHANNEL_OPTIONS: Options = [*_ALL, *_KEPT_ALIVE, (_RETRY_BYTES, 4 << 20)]


@dataclass(frozen=True)
class OpenCall:
    """A call that was started, its span, and where it went."""

    answers: Any
    span: CallSpan
    address: str

    def cancel(self) -> None:
        """Ends it here and at the server; nothing happens where it has ended."""
        self.answers.cancel()


@contextmanager
def ended(call_span: CallSpan, address: str) -> Iterator[None]:
    """Ends the span of a call with how the call ended; what gRPC raises becomes `uniaudio.errors`, cause kept."""
    try:
        yield
    except grpc.RpcError as error:
        mapped = _named(error_from_rpc(error), address)
        call_span.end(to_status_code(mapped).value[0], mapped.message)
        raise mapped from error
    except BaseException:
        call_span.end(grpc.StatusCode.CANCELLED.value[0], "given up by the caller")
        raise
    call_span.end()


def _named(error: UniaudioError, address: str) -> UniaudioError:
    """The error as it is, but where nobody was reached: that one says who, in few words."""
    details = error.metadata.get("value", "")
    # Whoever was reached may tell the same of a service behind it, in words of its own.
    if not isinstance(error, UnavailableError) or not details.startswith("failed to connect"):
        return error
    why = details.rpartition(": ")[2]
    return UnavailableError(
        f"nobody answers at {address}: {why}; start uniaudio there, or give another address",
        reason="UNREACHABLE",
        value=why,
        limit="a service that listens",
        remedy="start uniaudio there, or give another address",
        address=address,
    )
