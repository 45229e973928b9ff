"""Everything behind the front door: the pipelines, and who is let in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

import uniaudio
from services.orchestrator.admission import Admission, AudioSeconds
from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import (
    AudioBytes,
    EditItem,
    EditOrder,
    Info,
    LiveOrder,
    LiveText,
    Recording,
    SynthesizeOrder,
    SynthesizeReport,
    TextDelta,
    TranscribeOrder,
    Transcript,
)
from services.orchestrator.edit import Editor, check_edit
from services.orchestrator.edit_tools import EditTools
from services.orchestrator.live import LiveTranscriber
from services.orchestrator.load import Load, SpeechPace
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.stages import all_of
from services.orchestrator.synthesize import (
    MAX_TEXT_CHARACTERS,
    Prepare,
    SynthesisConfig,
    Synthesizer,
    check_prompt,
    check_text,
)
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.voices.policy import Voices
from uniaudio.audio.expected import expected_seconds
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.errors import DeadlineError
from uniaudio.runtime.calls import remaining_seconds
from uniaudio.text.speaking_time import speaking_seconds

_LIVE_SLACK = 1.25
"""A live stream may take so much longer than the longest recording: the model reads on at its end."""


class Front:
    """Transcribes, speaks and edits, a bounded number of requests at once.

    What can be refused by a look at the request is refused before it takes a place.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        *,
        prepare: Prepare,
        tools: EditTools,
        admission: Admission,
        live_admission: Admission,
        max_request_seconds: float = 600.0,
        limits: AudioLimits | None = None,
        hallmark: Hallmark | None = None,
        voices: Voices | None = None,
        synthesis: SynthesisConfig | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._language_model = language_model
        self._admission = admission
        self._live_admission = live_admission
        self._max_request_seconds = max_request_seconds
        self._limits = limits or AudioLimits()
        self._voices = voices or Voices()
        self._speeches = SpeechPace()
        self._transcriber = Transcriber(tokenizer, language_model, limits=self._limits)
        self._synthesizer = Synthesizer(
            tokenizer,
            language_model,
            self._transcriber,
            prepare,
            config=synthesis,
            limits=self._limits,
            hallmark=hallmark,
            voices=self._voices,
        )
        self._live = LiveTranscriber(self._transcriber, limits=self._limits)
        self._editor = Editor(
            tokenizer, language_model, self._transcriber, tools, limits=self._limits, hallmark=hallmark
        )

    async def info(self) -> Info:
        """What is loaded and what is allowed. Raises UnavailableError when a neighbour is away."""
        tokenizer, language_model = await all_of(self._tokenizer.model(), self._language_model.model())
        return Info(
            version=uniaudio.__version__,
            model=language_model,
            tokenizer=tokenizer,
            sample_rate=MODEL_SAMPLE_RATE,
            max_audio_seconds=self._limits.max_seconds,
            max_audio_bytes=self._limits.max_encoded_bytes,
            max_text_characters=MAX_TEXT_CHARACTERS,
            load=self.load(),
        )

    def load(self) -> Load:
        """How busy it is now."""
        return Load(
            num_running=self._admission.num_running,
            num_waiting=self._admission.num_waiting,
            max_running=self._admission.max_running,
            queue_seconds=self._admission.queue_seconds,
            real_time_factor=self._speeches.real_time_factor(),
        )

    async def check_ready(self) -> None:
        """Returns when both neighbours answer now; raises UnavailableError otherwise."""
        await all_of(self._tokenizer.check_ready(), self._language_model.model())

    async def transcribe(self, order: TranscribeOrder) -> Transcript:
        """The words of a recording."""
        self._limits.check_encoded_bytes(len(order.audio.content))
        async with self._turn(lambda: self._seconds_of(order.audio)):
            return await self._transcriber.transcribe(order)

    async def transcribe_progressively(
        self, order: TranscribeOrder
    ) -> AsyncGenerator[TextDelta | Transcript, None]:
        """The words of a recording while they are written, then the whole."""
        self._limits.check_encoded_bytes(len(order.audio.content))
        turn = self._turn(lambda: self._seconds_of(order.audio))
        async with turn, aclosing(self._transcriber.follow(order)) as items:
            async for item in items:
                yield item

    async def live(self, order: LiveOrder, chunks: AsyncIterator[bytes]) -> AsyncGenerator[LiveText, None]:
        """The words of live audio. A stream may last a little longer than its audio may."""
        admitted = self._admitted(self._live_admission.place(), _LIVE_SLACK * self._limits.max_seconds)
        async with admitted, aclosing(self._live.transcribe(order, chunks)) as texts:
            async for text in texts:
                yield text

    async def synthesize(self, order: SynthesizeOrder) -> AsyncGenerator[AudioBytes | SynthesizeReport, None]:
        """Speech, sent while it is made, and the report."""
        check_text(order.text)
        check_prompt(order, self._limits, self._voices.policy)
        turn = self._turn(lambda: speaking_seconds(order.text))
        async with turn, aclosing(self._synthesizer.synthesize(order)) as items:
            began = time.monotonic()
            async for item in items:
                if isinstance(item, SynthesizeReport):
                    self._speeches.add(time.monotonic() - began, item.audio_seconds)
                yield item

    async def edit(self, order: EditOrder) -> AsyncGenerator[EditItem, None]:
        """The plan, what happens, audio, and the report."""
        check_edit(order, self._limits)
        turn = self._turn(lambda: self._seconds_of(order.audio))
        async with turn, aclosing(self._editor.edit(order)) as items:
            async for item in items:
                yield item

    def _seconds_of(self, audio: Recording) -> float:
        return expected_seconds(audio.content, audio.format, max_seconds=self._limits.max_seconds)

    def _turn(self, audio_seconds: AudioSeconds) -> AbstractAsyncContextManager[None]:
        return self._admitted(self._admission.place(audio_seconds), self._max_request_seconds)

    @asynccontextmanager
    async def _admitted(
        self, place: AbstractAsyncContextManager[None], longest_seconds: float
    ) -> AsyncGenerator[None, None]:
        """A place within the bounds, for as long as a request may take at all."""
        seconds = remaining_seconds(longest_seconds)
        try:
            async with asyncio.timeout(seconds) as timer:
                async with place:
                    yield
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise DeadlineError(
                f"the request did not end within {seconds:.1f} s; send less at once, or set a later deadline",
                value=f"more than {seconds:.1f} s",
                limit=f"{seconds:.1f} s",
                remedy="send less at once, or set a later deadline",
            ) from error
