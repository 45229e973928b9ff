"""The voice registry, synchronously: `SpeechClient.voices`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from uniaudio.client.audio import AudioSource
from uniaudio.client.calls import Calls
from uniaudio.client.channel import VOICE_SERVICE
from uniaudio.client.voice_export import ExportedVoice, exported_voice
from uniaudio.client.voice_requests import Consent, Voice, create_request
from uniaudio.v1 import voices_pb2


class VoicesClient:
    """Voices that may be imitated, each with the consent of who speaks in it.

        agreed = consent("Ada Lovelace", "reading letters aloud", evidence="I agree. Ada, 3 May")
        client.voices.create("ada", "ada.wav", agreed)
        speech = client.synthesize("Hello there.", voice_id="ada")

    Errors are those of `SpeechClient`; another caller's voice is NotFoundError, and one whose consent ran out
    or was taken back PermissionDeniedError.
    """

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
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
        answer: voices_pb2.CreateVoiceResponse = self._once("CreateVoice", request, timeout_seconds)
        return answer.voice

    def get(self, voice_id: str, *, timeout_seconds: float | None = None) -> Voice:
        """The voice with its consent, whether it may be imitated or not."""
        request = voices_pb2.GetVoiceRequest(voice_id=voice_id)
        answer: voices_pb2.GetVoiceResponse = self._once("GetVoice", request, timeout_seconds)
        return answer.voice

    def list(self, *, timeout_seconds: float | None = None) -> Iterator[Voice]:
        """The caller's voices, by name; each page is a call of its own."""
        token = ""
        while True:
            request = voices_pb2.ListVoicesRequest(page_token=token)
            answer: voices_pb2.ListVoicesResponse = self._once("ListVoices", request, timeout_seconds)
            yield from answer.voices
            token = answer.next_page_token
            if not token:
                return

    def revoke(self, voice_id: str, *, timeout_seconds: float | None = None) -> Voice:
        """The voice, its consent taken back: its audio is gone, its record stays."""
        request = voices_pb2.RevokeVoiceRequest(voice_id=voice_id)
        answer: voices_pb2.RevokeVoiceResponse = self._once("RevokeVoice", request, timeout_seconds)
        return answer.voice

    def delete(self, voice_id: str, *, timeout_seconds: float | None = None) -> None:
        """Removes the voice, its audio and its record; nothing happens where there is none."""
        request = voices_pb2.DeleteVoiceRequest(voice_id=voice_id)
        self._once("DeleteVoice", request, timeout_seconds)

    def export(self, voice_id: str, *, timeout_seconds: float | None = None) -> ExportedVoice:
        """Everything of a voice, to keep elsewhere."""
        request = voices_pb2.ExportVoiceRequest(voice_id=voice_id)
        return exported_voice(self._once("ExportVoice", request, timeout_seconds))

    def restore(
        self, exported: ExportedVoice, *, voice_id: str = "", timeout_seconds: float | None = None
    ) -> Voice:
        """The voice created from its export, under its own name or another; the server prepares it by itself."""
        kept = exported.voice
        return self.create(
            voice_id or kept.voice_id,
            exported.audio,
            kept.consent,
            transcript=kept.transcript,
            timeout_seconds=timeout_seconds,
        )

    def _once(self, method: str, request: Any, timeout_seconds: float | None) -> Any:
        return self._calls.once(VOICE_SERVICE, method, request, timeout_seconds)
