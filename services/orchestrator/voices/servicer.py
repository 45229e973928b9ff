"""VoiceService: messages in, messages out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from services.orchestrator.admission import Admission
from services.orchestrator.translate import audio_message, model_message, recording, timestamp
from services.orchestrator.voices.model import Consent, Voice, VoiceState
from services.orchestrator.voices.registry import NewVoice, VoiceRegistry
from uniaudio.runtime.calls import adopt_request_id
from uniaudio.runtime.server import Service
from uniaudio.v1 import voices_pb2, voices_pb2_grpc

SERVICE_NAME = "uniaudio.v1.VoiceService"
_STATES = {
    VoiceState.ACTIVE: voices_pb2.VOICE_STATE_ACTIVE,
    VoiceState.EXPIRED: voices_pb2.VOICE_STATE_EXPIRED,
    VoiceState.REVOKED: voices_pb2.VOICE_STATE_REVOKED,
}


class VoiceServicer(voices_pb2_grpc.VoiceServiceServicer):
    """Voices on the wire; at most as many are prepared at once as `admission` lets in."""

    def __init__(self, registry: VoiceRegistry, caller: Callable[[], str], admission: Admission) -> None:
        self._registry = registry
        self._caller = caller
        self._admission = admission

    async def CreateVoice(
        self, request: voices_pb2.CreateVoiceRequest, context: Any
    ) -> voices_pb2.CreateVoiceResponse:
        adopt_request_id(request.request_id)
        new = NewVoice(
            voice_id=request.voice_id,
            audio=recording(request.audio),
            transcript=request.transcript,
            consent=_consent(request.consent),
        )
        async with self._admission.place():
            voice = await self._registry.create(self._caller(), new)
        return voices_pb2.CreateVoiceResponse(voice=self._message(voice))

    async def GetVoice(
        self, request: voices_pb2.GetVoiceRequest, context: Any
    ) -> voices_pb2.GetVoiceResponse:
        voice = await self._registry.get(self._caller(), request.voice_id)
        return voices_pb2.GetVoiceResponse(voice=self._message(voice))

    async def ListVoices(
        self, request: voices_pb2.ListVoicesRequest, context: Any
    ) -> voices_pb2.ListVoicesResponse:
        page = await self._registry.list(
            self._caller(), page_size=request.page_size, token=request.page_token
        )
        return voices_pb2.ListVoicesResponse(
            voices=map(self._message, page.voices), next_page_token=page.next_token
        )

    async def RevokeVoice(
        self, request: voices_pb2.RevokeVoiceRequest, context: Any
    ) -> voices_pb2.RevokeVoiceResponse:
        voice = await self._registry.revoke(self._caller(), request.voice_id)
        return voices_pb2.RevokeVoiceResponse(voice=self._message(voice))

    async def DeleteVoice(
        self, request: voices_pb2.DeleteVoiceRequest, context: Any
    ) -> voices_pb2.DeleteVoiceResponse:
        await self._registry.delete(self._caller(), request.voice_id)
        return voices_pb2.DeleteVoiceResponse()

    async def ExportVoice(
        self, request: voices_pb2.ExportVoiceRequest, context: Any
    ) -> voices_pb2.ExportVoiceResponse:
        async with self._admission.place():
            exported = await self._registry.export(self._caller(), request.voice_id)
        num_frames, latent_dim = exported.latents.shape
        return voices_pb2.ExportVoiceResponse(
            voice=self._message(exported.voice),
            audio=audio_message(exported.audio),
            latents=exported.latents.astype("<f4").tobytes(),
            num_frames=num_frames,
            latent_dim=latent_dim,
            tokenizer=model_message(exported.tokenizer),
        )

    def _message(self, voice: Voice) -> voices_pb2.Voice:
        return voices_pb2.Voice(
            voice_id=voice.voice_id,
            transcript=voice.transcript,
            audio_seconds=voice.audio_seconds,
            audio_sha256=voice.audio_sha256,
            consent=voices_pb2.Consent(
                given_by=voice.consent.given_by,
                give_time=timestamp(voice.consent.given_at),
                purpose=voice.consent.purpose,
                evidence=voice.consent.evidence,
                evidence_sha256=voice.consent.evidence_sha256,
                expire_time=timestamp(voice.consent.expires_at),
            ),
            state=_STATES[voice.state(self._registry.now())],
            create_time=timestamp(voice.created_at),
            revoke_time=timestamp(voice.revoked_at),
        )


def voice_service(registry: VoiceRegistry, caller: Callable[[], str], admission: Admission) -> Service:
    """VoiceService; `caller` names who makes the running call."""
    servicer = VoiceServicer(registry, caller, admission)
    return Service(
        name=SERVICE_NAME,
        register=lambda server: voices_pb2_grpc.add_VoiceServiceServicer_to_server(servicer, server),
    )


def _consent(message: voices_pb2.Consent) -> Consent:
    return Consent(
        given_by=message.given_by,
        given_at=_seconds(message.give_time),
        purpose=message.purpose,
        evidence=message.evidence,
        evidence_sha256=message.evidence_sha256,
        expires_at=_seconds(message.expire_time) if message.HasField("expire_time") else None,
    )


def _seconds(time: Timestamp) -> float:
    return time.seconds + time.nanos / 1e9
