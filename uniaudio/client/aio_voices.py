"""The voice registry for asyncio: `AsyncSpeechClient.voices`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from uniaudio.client.aio_calls import AsyncCalls
from uniaudio.client.audio import AudioSource
from uniaudio.client.channel import VOICE_SERVICE
from uniaudio.client.voice_export import ExportedVoice, exported_voice
from uniaudio.client.voice_requests import Consent, Voice, create_request
from uniaudio.v1 import voices_pb2


class AsyncVoicesClient:
    """Voices that may be imitated, each with the consent of who speaks in it.

        agreed = consent("Ada Lovelace", "reading letters aloud", evidence="I agree. Ada, 3 May")
        await client.voices.create("ada", "ada.wav", agreed)
        speech = client.synthesize("Hello there.", voice_id="ada")

    Errors are those of `AsyncSpeechClient`; another caller's voice is NotFoundError, and one whose consent ran out
    or was taken back PermissionDeniedError.
    """

    def __init__(self, calls: AsyncCalls) -> None:
        self._calls = calls

    async def create(
        self,
        voice_id: str,
        audio: AudioSource,
        consent: Consent,
        *,
        transcript: str = "",
        sample_rate: int | None = None,
        timeout_seconds: float | None = None,
    ) -> Voice:
        """The voice, kept and prepared; without a transcript the model listens."""
        request = create_request(voice_id, audio, consent, transcript=transcript, sample_rate=sample_rate)
        answer: voices_pb2.CreateVoiceResponse = await self._once("CreateVoice", request, timeout_seconds)
        return answer.voice

    async def get(self, voice_id: str, *, timeout_seconds: float | None = None) -> Voice:
        """The voice with its consent, whether it may be imitated or not."""
        request = voices_pb2.GetVoiceRequest(voice_id=voice_id)
        answer: voices_pb2.GetVoiceResponse = await self._once("GetVoice", request, timeout_seconds)
        return answer.voice

    async def list(self, *, timeout_seconds: float | None = None) -> AsyncIterator[Voice]:
        """The caller's voices, by name; each page is a call of its own."""
        token = ""
        while True:
            request = voices_pb2.ListVoicesRequest(page_token=token)
            answer: voices_pb2.ListVoicesResponse = await self._once("ListVoices", request, timeout_seconds)
            for voice in answer.voices:
                yield voice
            token = answer.next_page_token
            if not token:
                return

    async def revoke(self, voice_id: str, *, timeout_seconds: float | None = None) -> Voice:
        """The voice, its consent taken back: its audio is gone, its record stays."""
        request = voices_pb2.RevokeVoiceRequest(voice_id=voice_id)
        answer: voices_pb2.RevokeVoiceResponse = await self._once("RevokeVoice", request, timeout_seconds)
        return answer.voice

    async def delete(self, voice_id: str, *, timeout_seconds: float | None = None) -> None:
        """Removes the voice, its audio and its record; nothing happens where there is none."""
        request = voices_pb2.DeleteVoiceRequest(voice_id=voice_id)
        await self._once("DeleteVoice", request, timeout_seconds)

    async def export(self, voice_id: str, *, timeout_seconds: float | None = None) -> ExportedVoice:
        """Everything of a voice, to keep elsewhere."""
        request = voices_pb2.ExportVoiceRequest(voice_id=voice_id)
        return exported_voice(await self._once("ExportVoice", request, timeout_seconds))

    async def restore(
        self, exported: ExportedVoice, *, voice_id: str = "", timeout_seconds: float | None = None
    ) -> Voice:
        """The voice created from its export, under its own name or another; the server prepares it by itself."""
        kept = exported.voice
        return await self.create(
            voice_id or kept.voice_id,
            exported.audio,
            kept.consent,
            transcript=kept.transcript,
            timeout_seconds=timeout_seconds,
        )

    async def _once(self, method: str, request: Any, timeout_seconds: float | None) -> Any:
        return await self._calls.once(VOICE_SERVICE, method, request, timeout_seconds)
