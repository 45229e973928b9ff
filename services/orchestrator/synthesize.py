"""Text to speech, sentence by sentence, sent while it is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import numpy as np

from services.orchestrator.attempts import Attempts, Listening, Patience, derive_seed
from services.orchestrator.clients import LanguageModel, Speak, TextMade, Tokenizer
from services.orchestrator.domain import (
    AudioBytes,
    FinishReason,
    Floats,
    Model,
    Normalization,
    PreparedVoice,
    Sampling,
    SynthesizeOrder,
    SynthesizeReport,
    about_weights,
)
from services.orchestrator.groups import Lead
from services.orchestrator.listening import Listener
from services.orchestrator.outlet import Outlet
from services.orchestrator.provenance.hallmark import Hallmark, Making
from services.orchestrator.recordings import check_prompt_length, read_recording
from services.orchestrator.speaking import Spoken, decode_while_made
from services.orchestrator.stages import stage
from services.orchestrator.suspicion import shortest_plausible_seconds
from services.orchestrator.transcribe import Hints, Transcriber
from services.orchestrator.voices.policy import UPLOADED_VOICE_NOTICE, PromptPolicy, Voices
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import InvalidInputError, LimitExceededError, ModelOutputError

MAX_TEXT_CHARACTERS = 20_000
MAX_PROMPT_TEXT_CHARACTERS = 2_000
Prepare = Callable[[str, Normalization, int], list[str]]
"""A text to normalised sentences of at most so many characters."""
_MAX_CARRIED_FRAMES = 1_500
"""A first sentence of up to 30 s serves the others as their voice."""


@dataclass(frozen=True, kw_only=True)
class SynthesisConfig:
    """How speech is made from text."""

    max_sentence_characters: int = 150
    patience: Patience = field(default_factory=Patience)


@dataclass
class _Account:
    """What the report will say."""

    warnings: list[str] = field(default_factory=list)
    finish_reason: FinishReason = FinishReason.STOP
    model: Model = field(default_factory=Model)
    latents: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    lead: Lead = field(default_factory=Lead)

    def take(self, attempts: Attempts) -> None:
        """Notes how a sentence went."""
        finished, self.latents = attempts.finished, attempts.latents
        self.finish_reason, self.model = finished.reason, finished.model
        if attempts.warning:
            self.warnings.append(attempts.warning)
        if finished.reason is FinishReason.LENGTH:
            self.warnings.append(f"{attempts.what} reached the longest it may take and may be cut off")


def _making(order: SynthesizeOrder, outlet: Outlet, account: _Account, seed: int) -> Making:
    return Making(
        action="speak",
        text=order.text,
        generated=((0.0, outlet.seconds),),
        model=account.model,
        seed=seed,
        voice_id=order.voice_id,
        is_text_told=order.text_in_manifest,
    )


def check_text(text: str) -> None:
    """Raises LimitExceededError or InvalidInputError before any work for a text that cannot be spoken."""
    _check_length("text", text, MAX_TEXT_CHARACTERS)
    if not text.strip():
        raise InvalidInputError(
            "the text is empty; send 1 to 20000 characters",
            value="0 characters",
            limit="1 to 20000 characters",
            remedy="send a text",
        )


def check_prompt(order: SynthesizeOrder, limits: AudioLimits, policy: PromptPolicy) -> None:
    """Refuses a prompt voice that is not allowed, or whose bytes or words cannot be right, before any work."""
    _check_length("prompt text", order.prompt_text, MAX_PROMPT_TEXT_CHARACTERS)
    if order.voice_id and (order.prompt_audio is not None or order.prompt_text.strip()):
        raise InvalidInputError(
            "voice_id is given beside prompt_audio or prompt_text; send one or the other",
            value=order.voice_id[:64],
            limit="voice_id, or prompt_audio with prompt_text",
            remedy="send one or the other",
        )
    if order.prompt_audio is not None:
        policy.check_upload()
        limits.check_encoded_bytes(len(order.prompt_audio.content))
    elif order.prompt_text.strip():
        raise InvalidInputError(
            "prompt_text is given without prompt_audio, whose words it is; send both or neither",
            value="no prompt_audio",
            limit="prompt_audio beside prompt_text",
            remedy="send both or neither",
        )


def _check_length(what: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise LimitExceededError(
            f"the {what} has {len(text)} characters, the limit is {limit}; split it over several requests",
            value=len(text),
            limit=limit,
            remedy="split it over several requests",
        )


class Synthesizer:
    """Speaks texts."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        transcriber: Transcriber,
        prepare: Prepare,
        *,
        config: SynthesisConfig | None = None,
        limits: AudioLimits | None = None,
        hallmark: Hallmark | None = None,
        voices: Voices | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._language_model = language_model
        self._transcriber = transcriber
        self._listener = Listener(tokenizer, transcriber)
        self._prepare = prepare
        self._config = config or SynthesisConfig()
        self._limits = limits or AudioLimits()
        self._hallmark = hallmark or Hallmark()
        self._voices = voices or Voices()

    async def synthesize(self, order: SynthesizeOrder) -> AsyncGenerator[AudioBytes | SynthesizeReport, None]:
        """Pieces of audio while they are made, and the report."""
        check_text(order.text)
        check_prompt(order, self._limits, self._voices.policy)
        outlet, marker = Outlet(order.output), self._hallmark.marker()
        sentences = await self._sentences(order.text, order.normalization)
        sampling, seed = order.sampling.with_seed()
        takes = sampling.takes or (await self._language_model.model()).takes
        account = _Account()
        voice = await self._voice(order, account)
        for index, sentence in enumerate(sentences):
            async with aclosing(self._sentence(index, sentence, voice, sampling, takes, account)) as pieces:
                async for piece in pieces:
                    for message in outlet.feed(marker.feed(piece)):
                        yield message
            voice = voice or self._carried(account, sentence, len(sentences))
        for message in outlet.feed(marker.finish()):
            yield message
        if outlet.seconds == 0:
            raise ModelOutputError(
                "the model made no sound at all; try another seed or another text",
                value="0 s of sound",
                limit="some sound",
                remedy="try another seed or another text",
            )
        for message in outlet.finish():
            yield message
        yield SynthesizeReport(
            spoken_text=" ".join(sentences),
            audio_seconds=outlet.seconds,
            first_audio_seconds=outlet.first_audio_seconds,
            finish_reason=account.finish_reason,
            seed=seed,
            warnings=(*account.warnings, *about_weights(account.model)),
            model=account.model,
            provenance=self._hallmark.certify(_making(order, outlet, account, seed), outlet),
        )

    async def _sentences(self, text: str, normalization: Normalization) -> list[str]:
        with stage("normalize_text", characters=len(text)):
            limit = self._config.max_sentence_characters
            sentences = await asyncio.to_thread(self._prepare, text, normalization, limit)
        if not sentences:
            raise InvalidInputError(
                "the text holds nothing that can be spoken; send words or numbers",
                value=text.strip()[:40],
                limit="at least one letter, ideograph or digit",
                remedy="send words or numbers",
            )
        return sentences

    async def _voice(self, order: SynthesizeOrder, account: _Account) -> PreparedVoice | None:
        if order.voice_id:
            with stage("find_voice"):
                return await self._voices.prepared(order.voice_id)
        if order.prompt_audio is None:
            return None
        account.warnings.append(UPLOADED_VOICE_NOTICE)
        waveform = await read_recording(order.prompt_audio, self._limits)
        check_prompt_length(waveform)
        prompt_text = order.prompt_text
        if not prompt_text.strip():
            prompt_text = (await self._transcriber.read(waveform, Hints(), thorough=True)).text
            account.warnings.append("prompt_text was not given, so the model transcribed the prompt voice")
        return PreparedVoice(await self._tokenizer.encode(waveform), prompt_text)

    def _carried(self, account: _Account, sentence: str, num_sentences: int) -> PreparedVoice | None:
        """The voice that the model chose for the first sentence, for those that follow."""
        if num_sentences > 1 and 0 < len(account.latents) <= _MAX_CARRIED_FRAMES:
            return PreparedVoice(account.latents, sentence)
        return None

    async def _sentence(
        self,
        index: int,
        sentence: str,
        voice: PreparedVoice | None,
        sampling: Sampling,
        takes: int,
        account: _Account,
    ) -> AsyncGenerator[Floats, None]:
        """Pieces of one sentence; made anew with another seed while what was held back sounds wrong."""
        task = Speak(text=sentence)
        if voice:
            task = replace(task, prompt_text=voice.text, known_voice=voice.is_known)

        def make(attempt: int) -> AsyncGenerator[Spoken, None]:
            seed = derive_seed(sampling.seed or 0, index, attempt)
            latents = voice.latents if voice else None
            events = self._language_model.generate(task, latents, replace(sampling, seed=seed))
            return decode_while_made(events, self._tokenizer, attempts.room)

        plausible_seconds = shortest_plausible_seconds(sentence)
        listening = Listening(takes, sentence, self._listener) if takes > 1 else None
        attempts = Attempts(
            f"sentence {index + 1}", plausible_seconds, self._config.patience, listening, account.lead
        )
        async with aclosing(attempts.run(make)) as pieces:
            async for piece in pieces:
                if not isinstance(piece, TextMade):
                    yield piece
        account.take(attempts)
