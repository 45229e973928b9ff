"""How the synchronous client calls: channels, a stub per service, a deadline and a span around each call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc

from uniaudio.client.access import Access
from uniaudio.client.channel import (
    CHANNEL_OPTIONS,
    EDIT_JOB_SERVICE,
    JOBS_CHANNEL_OPTIONS,
    PROVENANCE_SERVICE,
    SPEECH_CHANNEL_OPTIONS,
    SPEECH_SERVICE,
    TOKENIZER_SERVICE,
    VOICE_SERVICE,
    OpenCall,
    ended,
)
from uniaudio.runtime.telemetry import start_client_span
from uniaudio.v1 import (
    jobs_pb2_grpc,
    provenance_pb2_grpc,
    speech_pb2_grpc,
    tokenizer_pb2_grpc,
    voices_pb2_grpc,
)


class Calls:
    """Calls to the orchestrator at `address` and to the tokenizer at its own; safe to share between threads."""

    def __init__(
        self,
        address: str,
        tokenizer_address: str,
        timeout_seconds: float,
        access: Access,
    ) -> None:
        self._timeout = timeout_seconds
        self._access = access
        self._addresses = {
            SPEECH_SERVICE: address,
            EDIT_JOB_SERVICE: address,
            PROVENANCE_SERVICE: address,
            VOICE_SERVICE: address,
            TOKENIZER_SERVICE: tokenizer_address or address,
        }
        speech = _channel(address, access, SPEECH_CHANNEL_OPTIONS)
        jobs = _channel(address, access, JOBS_CHANNEL_OPTIONS)
        tokenizer = _channel(tokenizer_address or address, access, CHANNEL_OPTIONS)
        self._channels = (speech, jobs, tokenizer)
        # By name, because each call is also a span of that name.
        self._stubs: Mapping[str, Any] = {
            SPEECH_SERVICE: speech_pb2_grpc.SpeechServiceStub(speech),
            EDIT_JOB_SERVICE: jobs_pb2_grpc.EditJobServiceStub(jobs),
            PROVENANCE_SERVICE: provenance_pb2_grpc.ProvenanceServiceStub(speech),
            VOICE_SERVICE: voices_pb2_grpc.VoiceServiceStub(speech),
            TOKENIZER_SERVICE: tokenizer_pb2_grpc.TokenizerServiceStub(tokenizer),
        }

    def once(self, service: str, method: str, request: Any, timeout_seconds: float | None) -> Any:
        """The answer of a call that has one."""
        span = start_client_span(f"/{service}/{method}")
        with ended(span, self._addresses[service]):
            call = getattr(self._stubs[service], method)
            metadata = self._access.metadata(span)
            return call(request, timeout=timeout_seconds or self._timeout, metadata=metadata)

    def open(self, service: str, method: str, request: Any, timeout_seconds: float | None) -> OpenCall:
        """A call whose answers are read one by one."""
        span = start_client_span(f"/{service}/{method}")
        call = getattr(self._stubs[service], method)
        metadata = self._access.metadata(span)
        return OpenCall(
            call(request, timeout=timeout_seconds or self._timeout, metadata=metadata),
            span,
            self._addresses[service],
        )

    def close(self) -> None:
        """Cancels what is running and closes the connections."""
        for channel in self._channels:
            channel.close()


def _channel(address: str, access: Access, options: list[tuple[str, Any]]) -> grpc.Channel:
    if access.credentials is None:
        return grpc.insecure_channel(address, options=options)
    return grpc.secure_channel(address, access.credentials, options=[*options, *access.options])
