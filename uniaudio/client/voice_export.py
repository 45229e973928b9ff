"""A voice with everything that was prepared of it."""

from __future__ import annotations

from dataclasses import dataclass

from uniaudio.client.latents import Latents, latents_from
from uniaudio.client.voice_requests import Voice
from uniaudio.errors import PreconditionError
from uniaudio.v1 import audio_pb2, voices_pb2


@dataclass(frozen=True, kw_only=True)
class ExportedVoice:
    """A voice to keep elsewhere; `uniaudio voices export` writes it to a file.

    `audio` is its recording as a FLAC file, `latents` `(num_frames, latent_dim)` what the tokenizer made of it:
    what the model continues when it speaks `voice.transcript` and then something else.
    """

    voice: Voice
    audio: bytes
    latents: Latents
    tokenizer: audio_pb2.ModelInfo

    def latents_for(self, tokenizer_revision: str) -> Latents:
        """The latents, for a model with that tokenizer; PreconditionError for another than made them."""
        if self.tokenizer.revision != tokenizer_revision:
            raise PreconditionError(
                f"the latents of the voice {self.voice.voice_id!r} are of tokenizer {self.tokenizer.revision}, this "
                f"one is {tokenizer_revision}; create the voice from its recording, which prepares it anew",
                reason="OTHER_TOKENIZER",
                value=self.tokenizer.revision,
                limit=tokenizer_revision,
                remedy="create the voice from its recording",
            )
        return self.latents

    def notice_at(self, tokenizer: audio_pb2.ModelInfo) -> str:
        """What to tell whoever restores it at a server with that tokenizer; "" where nothing is to be told."""
        made = self.tokenizer.revision
        if made == tokenizer.revision:
            return ""
        return f"in the file it is of tokenizer {made}, here of {tokenizer.revision}: it may sound different"


def exported_voice(answer: voices_pb2.ExportVoiceResponse) -> ExportedVoice:
    """The answer of a server."""
    return ExportedVoice(
        voice=answer.voice,
        audio=answer.audio.content,
        latents=latents_from(answer.latents, answer.num_frames),
        tokenizer=answer.tokenizer,
    )
