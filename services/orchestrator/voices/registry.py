"""Voices as callers see them: created with their consent, prepared once, used by name, taken back."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from services.orchestrator.clients import Tokenizer
from services.orchestrator.domain import Floats, Model, PreparedVoice, Recording
from services.orchestrator.jobs.model import check_text
from services.orchestrator.recordings import check_prompt_length, read_recording, seconds_of
from services.orchestrator.transcribe import Hints, Transcriber
from services.orchestrator.voices.model import (
    MAX_PAGE_SIZE,
    Consent,
    Voice,
    check_consent,
    check_usable,
    check_voice_id,
)
from services.orchestrator.voices.objects import VoiceObjects
from services.orchestrator.voices.store import VoiceStore
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidInputError, LimitExceededError, PreconditionError
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

MAX_TRANSCRIPT_CHARACTERS = 2_000
_DEFAULT_PAGE_SIZE = 100
_CACHED_VOICES = 64
_SWEEP_FOLDERS = 500
_KEPT = AudioFormat(encoding=AudioEncoding.FLAC)
"""What the model hears of a recording, below 1 MiB, whatever came."""


@dataclass(frozen=True, kw_only=True)
class NewVoice:
    """A voice to keep; an empty transcript lets the model listen."""

    voice_id: str
    audio: Recording
    transcript: str
    consent: Consent


@dataclass(frozen=True, kw_only=True)
class ExportedVoice:
    """Everything of a voice; its latents `(num_frames, latent_dim)` are that tokenizer's."""

    voice: Voice
    audio: Recording
    latents: Floats
    tokenizer: Model


@dataclass(frozen=True, kw_only=True)
class VoicePage:
    """Some of a caller's voices, and where the next page begins; "" at the end."""

    voices: tuple[Voice, ...]
    next_token: str


class VoiceRegistry:
    """Keeps voices of many callers; each sees its own, all others are NotFoundError.

    Every method raises UnavailableError while the database or the object store is away.
    """

    def __init__(
        self,
        store: VoiceStore,
        objects: VoiceObjects,
        tokenizer: Tokenizer,
        transcriber: Transcriber,
        *,
        limits: AudioLimits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._objects = objects
        self._tokenizer = tokenizer
        self._transcriber = transcriber
        self._limits = limits or AudioLimits()
        self._clock = clock
        self._prepared: OrderedDict[tuple[str, str], Floats] = OrderedDict()

    def now(self) -> float:
        """Seconds since 1970, by which consent runs out."""
        return self._clock()

    async def create(self, caller: str, new: NewVoice) -> Voice:
        """The voice, kept and prepared; the same again is the one that is there.

        Raises PreconditionError (VOICE_EXISTS) where the name has another recording or consent, InvalidInputError
        or one of its kinds for a record or recording that cannot be.
        """
        check_voice_id(new.voice_id)
        check_consent(new.consent, self._clock())
        _check_transcript(new.transcript)
        found = await asyncio.to_thread(self._store.find, caller, new.voice_id)
        waveform = await read_recording(new.audio, self._limits)
        check_prompt_length(waveform)
        if found is not None:
            return _same(found, self._record(caller, new, waveform, found.transcript, found.folder))
        transcript = new.transcript.strip() or await self._heard(waveform)
        voice = self._record(caller, new, waveform, transcript, self._objects.new_folder())
        latents = await self._tokenizer.encode(waveform)
        revision = (await self._tokenizer.model()).revision
        try:
            kept_audio = await asyncio.to_thread(encode_audio, waveform, _KEPT)
            await asyncio.to_thread(self._objects.put_audio, voice.folder, kept_audio)
            await asyncio.to_thread(self._objects.put_latents, voice.folder, revision, latents)
            kept = await asyncio.to_thread(self._store.add, voice)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(self._objects.remove, voice.folder))
            raise
        if kept.folder != voice.folder:  # another call of the same name was a moment faster
            await asyncio.to_thread(self._objects.remove, voice.folder)
        return _same(kept, voice)

    async def get(self, caller: str, voice_id: str) -> Voice:
        """The voice, whether it may be imitated or not."""
        check_voice_id(voice_id)
        return await asyncio.to_thread(self._store.get, caller, voice_id)

    async def list(self, caller: str, *, page_size: int = 0, token: str = "") -> VoicePage:
        """The caller's voices by name; InvalidInputError for a size or token that cannot be."""
        if not 0 <= page_size <= MAX_PAGE_SIZE:
            raise InvalidInputError(
                f"page_size is {page_size}; ask for 0 (the default) to {MAX_PAGE_SIZE}",
                value=page_size,
                limit=f"0 to {MAX_PAGE_SIZE}",
                remedy="ask for a size inside",
            )
        if token:
            check_voice_id(token)
        size = page_size or _DEFAULT_PAGE_SIZE
        found = await asyncio.to_thread(self._store.list, caller, after=token, limit=size + 1)
        is_more = len(found) > size
        return VoicePage(voices=tuple(found[:size]), next_token=found[size - 1].voice_id if is_more else "")

    async def revoke(self, caller: str, voice_id: str) -> Voice:
        """The voice, never to be imitated again; its audio is removed."""
        check_voice_id(voice_id)
        voice = await asyncio.to_thread(self._store.revoke, caller, voice_id, self._clock())
        await self._forget(voice.folder)
        return voice

    async def delete(self, caller: str, voice_id: str) -> None:
        """Removes the voice with its audio and its record; nothing happens where there is none."""
        check_voice_id(voice_id)
        voice = await asyncio.to_thread(self._store.delete, caller, voice_id)
        if voice is not None:
            await self._forget(voice.folder)

    async def prepared(self, caller: str, voice_id: str) -> PreparedVoice:
        """What the model continues, without the tokenizer where it prepared this voice before.

        Raises PermissionDeniedError (CONSENT_EXPIRED, CONSENT_REVOKED) where it may not be imitated.
        """
        voice = await self._usable(caller, voice_id)
        latents = await self._latents(voice, (await self._tokenizer.model()).revision)
        return PreparedVoice(latents, voice.transcript, is_known=True)

    async def export(self, caller: str, voice_id: str) -> ExportedVoice:
        """Everything of a voice that may be imitated; raises as `prepared` does."""
        voice = await self._usable(caller, voice_id)
        tokenizer = await self._tokenizer.model()
        latents = await self._latents(voice, tokenizer.revision)
        content = await asyncio.to_thread(self._objects.audio, voice.folder)
        recording = Recording(content=content, format=_KEPT)
        return ExportedVoice(voice=voice, audio=recording, latents=latents, tokenizer=tokenizer)

    async def sweep(self) -> int:
        """Removes audio whose consent ran out or was taken back, or that a dead process left; how many voices'."""
        settled = sorted(await asyncio.to_thread(self._objects.settled_folders))
        num_removed = 0
        for start in range(0, len(settled), _SWEEP_FOLDERS):
            folders = settled[start : start + _SWEEP_FOLDERS]
            usable = await asyncio.to_thread(self._store.usable_folders, folders, self._clock())
            for folder in folders:
                if folder not in usable:
                    await self._forget(folder)
                    num_removed += 1
        return num_removed

    async def _usable(self, caller: str, voice_id: str) -> Voice:
        check_voice_id(voice_id)
        voice = await asyncio.to_thread(self._store.get, caller, voice_id)
        check_usable(voice, self._clock())
        return voice

    async def _latents(self, voice: Voice, revision: str) -> Floats:
        key = voice.folder, revision
        latents = self._prepared.get(key)
        if latents is None:
            latents = await asyncio.to_thread(self._objects.latents, *key)
        if latents is None:  # prepared by another tokenizer
            latents = await self._prepare(voice, revision)
        self._prepared[key] = latents
        self._prepared.move_to_end(key)
        while len(self._prepared) > _CACHED_VOICES:
            self._prepared.popitem(last=False)
        return latents

    async def _heard(self, waveform: Floats) -> str:
        heard = await self._transcriber.read(waveform, Hints(), thorough=True)
        return heard.text.replace("\0", "")  # see check_text

    async def _forget(self, folder: str) -> None:
        for key in [key for key in self._prepared if key[0] == folder]:
            del self._prepared[key]
        await asyncio.to_thread(self._objects.remove, folder)

    async def _prepare(self, voice: Voice, revision: str) -> Floats:
        content = await asyncio.to_thread(self._objects.audio, voice.folder)
        waveform = await read_recording(Recording(content=content), self._limits)
        latents = await self._tokenizer.encode(waveform)
        await asyncio.to_thread(self._objects.put_latents, voice.folder, revision, latents)
        return latents

    def _record(self, caller: str, new: NewVoice, waveform: Floats, transcript: str, folder: str) -> Voice:
        return Voice(
            caller=caller,
            voice_id=new.voice_id,
            transcript=transcript,
            format=new.audio.format,
            audio_seconds=seconds_of(waveform),
            audio_sha256=hashlib.sha256(new.audio.content).hexdigest(),
            consent=new.consent,
            folder=folder,
            created_at=self._clock(),
        )


def _check_transcript(transcript: str) -> None:
    check_text("transcript", transcript)
    if len(transcript) > MAX_TRANSCRIPT_CHARACTERS:
        raise LimitExceededError(
            f"the transcript has {len(transcript)} characters, the limit is {MAX_TRANSCRIPT_CHARACTERS}; leave it "
            "out, or take a shorter recording",
            value=len(transcript),
            limit=MAX_TRANSCRIPT_CHARACTERS,
            remedy="leave it out, or take a shorter recording",
        )


def _same(kept: Voice, asked: Voice) -> Voice:
    if not kept.is_same_as(asked):
        raise PreconditionError(
            f"the voice {kept.voice_id!r} exists with another recording or consent; delete it first, or choose "
            "another name",
            reason="VOICE_EXISTS",
            value=kept.voice_id,
            limit="a name that is free",
            remedy="delete it first, or choose another name",
        )
    return kept
