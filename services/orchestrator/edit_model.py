"""Edits by the model: the whole recording window by window, or the words of one window."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from services.orchestrator.attempts import Attempts, Listening, Patience, derive_seed
from services.orchestrator.clients import Edit, LanguageModel, Speak, TextMade, Tokenizer
from services.orchestrator.domain import (
    EditReport,
    FinishReason,
    Floats,
    Model,
    Progress,
    Reasoning,
    Sampling,
    about_weights,
)
from services.orchestrator.edit_words import shown_reasoning
from services.orchestrator.heard_words import contains_words
from services.orchestrator.listening import Listener
from services.orchestrator.recordings import seconds_of
from services.orchestrator.speaking import Spoken, decode_while_made
from services.orchestrator.transcribe import Hints, Transcriber
from services.orchestrator.windows import cut
from uniaudio.audio.samples import Samples
from uniaudio.editing.mark import EditMark
from uniaudio.editing.plan import EditKind, InsertPlace, Plan
from uniaudio.editing.target import Resolution
from uniaudio.errors import InvalidInputError, LimitExceededError, ModelOutputError

_MODEL_SECONDS = 80.0
"""What source and result of one generation may last together (81.92 s)."""
_GROWTH = 1.2
_LEAST_SHARE = 0.2
"""A result below this share of what is expected is not believed."""
_PROGRESS_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class ModelEditConfig:
    """How the model edits."""

    patience: Patience = field(default_factory=lambda: Patience(max_attempts=2))


@dataclass
class ModelAccount:
    """What the report will say about the model's part."""

    warnings: list[str] = field(default_factory=list)
    reasoning: str = ""
    model: Model = field(default_factory=Model)
    finish_reason: FinishReason = FinishReason.STOP

    def copy(self) -> ModelAccount:
        """One that goes on by itself."""
        return replace(self, warnings=list(self.warnings))

    def signed(self, report: EditReport, seed: int) -> EditReport:
        """The report with the model's part."""
        warnings = (*report.warnings, *self.warnings, *about_weights(self.model))
        return replace(report, warnings=warnings, model=self.model, seed=seed)


def length_factor(plan: Plan) -> float:
    """How much longer than the source the result is meant to be, at most."""
    return 1 / plan.value if plan.kind is EditKind.SPEED else 1.0


def window_seconds(plan: Plan) -> float:
    """The longest source that fits the model beside its result."""
    return _MODEL_SECONDS / (1 + _GROWTH * max(1.0, length_factor(plan)))


class ModelEditor:
    """Speaks edited windows."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        transcriber: Transcriber,
        *,
        config: ModelEditConfig | None = None,
    ) -> None:
        self._tokenizer = tokenizer
        self._language_model = language_model
        self._transcriber = transcriber
        self.listener = Listener(tokenizer, transcriber)
        self._config = config or ModelEditConfig()

    async def model(self) -> Model:
        """Which model edits."""
        return await self._language_model.model()

    async def max_takes(self, sampling: Sampling) -> int:
        """How often to speak until the words are heard to be right: as asked, else as the model advises."""
        return sampling.takes or (await self.model()).takes

    def listening(self, words: str, max_takes: int) -> Listening | None:
        """Hears whether a result says these words; None where there is but one take."""
        return Listening(max_takes, words, self.listener) if max_takes > 1 else None

    async def regenerate(
        self, plan: Plan, waveform: Samples, sampling: Sampling, account: ModelAccount
    ) -> AsyncGenerator[Reasoning | Progress | Floats, None]:
        """The whole recording anew, of any length: pieces `(num_samples,)` as they are made.

        With more than one take each window leaves when its words are heard to be the source's.
        """
        max_takes = await self.max_takes(sampling)
        spans = await self._spans(plan, waveform)
        for index, (start, end) in enumerate(spans):
            shares = (start / len(waveform), end / len(waveform))
            window = waveform[start:end]
            words = (await self._transcriber.read(window, Hints())).text if max_takes > 1 else ""
            heard = self.listening(words, max_takes)
            spoken = self.speak(plan, window, index, shares, sampling, account, listening=heard)
            async with aclosing(spoken) as items:
                async for item in items:
                    yield item

    async def _window_seconds(self, plan: Plan) -> float:
        return min(window_seconds(plan), (await self.model()).window_seconds or math.inf)

    async def _spans(self, plan: Plan, waveform: Samples) -> list[tuple[int, int]]:
        advised, longest = (await self.model()).window_seconds, window_seconds(plan)
        if seconds_of(waveform) <= min(advised, longest):
            return [(0, len(waveform))]  # a place may be named in all of it
        return cut(waveform, longest, advised)

    async def speak(
        self,
        plan: Plan,
        window: Floats,
        index: int,
        shares: tuple[float, float],
        sampling: Sampling,
        account: ModelAccount,
        mark: EditMark | None = None,
        kept_samples: int = 0,
        listening: Listening | None = None,
    ) -> AsyncGenerator[Reasoning | Progress | Floats, None]:
        """One window anew; `shares` is the part of all progress that it makes.

        With a `mark` the model need not find the place: it speaks by that as if it had written it. It goes on
        from `kept_samples` of the window, which come first in what is made, too. With `listening` it speaks until its
        words are right.
        """
        latents = await self._tokenizer.encode(window)
        kept_frames = kept_samples * len(latents) // len(window)
        task = Edit(
            instruction=plan.model_instruction,
            reasoning=plan.reasoning,
            mark=mark,
            kept_frames=kept_frames,
        )
        if mark is not None:
            account.reasoning = mark.reasoning
            yield Reasoning(shown_reasoning(mark.reasoning))
        expected_seconds = seconds_of(window) * length_factor(plan)
        spoken = self._run(task, latents, expected_seconds, index, shares, sampling, account, listening)
        async with aclosing(spoken) as items:
            async for item in items:
                yield item

    async def say(
        self,
        resolution: Resolution,
        window: Floats,
        shares: tuple[float, float],
        sampling: Sampling,
        account: ModelAccount,
    ) -> AsyncGenerator[Reasoning | Progress | Floats, None]:
        """All the words of the edited window, in its voice: as a text is spoken after a prompt.

        For models that are better speakers than editors, where no more is wanted of it than the new words.
        """
        account.reasoning = resolution.mark.reasoning
        yield Reasoning(shown_reasoning(account.reasoning))
        task = Speak(text=resolution.edited_text, prompt_text=resolution.transcript)
        latents = await self._tokenizer.encode(window)
        spoken = self._run(task, latents, seconds_of(window), 0, shares, sampling, account, None)
        async with aclosing(spoken) as items:
            async for item in items:
                yield item

    async def _run(
        self,
        task: Edit | Speak,
        latents: Floats,
        expected_seconds: float,
        index: int,
        shares: tuple[float, float],
        sampling: Sampling,
        account: ModelAccount,
        listening: Listening | None,
    ) -> AsyncGenerator[Reasoning | Progress | Floats, None]:
        def make(attempt: int) -> AsyncGenerator[Spoken, None]:
            seeded = replace(sampling, seed=derive_seed(sampling.seed or 0, index, attempt))
            events = self._language_model.generate(task, latents, seeded)
            return decode_while_made(events, self._tokenizer, attempts.room)

        attempts = Attempts("the edit", _LEAST_SHARE * expected_seconds, self._config.patience, listening)
        told = made = 0.0
        async with aclosing(attempts.run(make)) as pieces:
            async for piece in pieces:
                if isinstance(piece, TextMade):
                    account.reasoning += piece.text
                    if shown := shown_reasoning(piece.text):
                        yield Reasoning(shown)
                    continue
                made += seconds_of(piece)
                if made >= told + _PROGRESS_SECONDS:
                    told = made
                    share = min(0.95, made / expected_seconds)
                    yield Progress("speaking", shares[0] + share * (shares[1] - shares[0]))
                yield piece
        self._note(attempts, made, account)

    def _note(self, attempts: Attempts, made_seconds: float, account: ModelAccount) -> None:
        if made_seconds == 0:
            raise ModelOutputError(
                "the model made no sound at all; try another seed or another instruction",
                value="0 s of sound",
                limit="some sound",
                remedy="try another seed or another instruction",
            )
        finished = attempts.finished
        account.model, account.finish_reason = finished.model, finished.reason
        if attempts.warning:
            account.warnings.append(attempts.warning)
        if finished.reason is FinishReason.LENGTH:
            account.warnings.append("the model reached the longest it may speak; the end may be cut off")

    async def find_window(self, plan: Plan, waveform: Samples) -> tuple[int, int]:
        """The samples of the window whose words the plan is about.

        Raises InvalidInputError when the words are not there, LimitExceededError when the recording is too
        long to say where they would be.
        """
        spans = await self._spans(plan, waveform)
        if len(spans) == 1 or plan.place is InsertPlace.BEGINNING:
            return spans[0]
        if plan.place is InsertPlace.END:
            return spans[-1]
        if not plan.target.text:
            limit = await self._window_seconds(plan)
            raise LimitExceededError(
                f"the recording lasts {seconds_of(waveform):.1f} s; the model edits words by position or free text "
                f"in at most {limit:.1f} s: quote the words to change, or cut the recording",
                value=f"{seconds_of(waveform):.1f} s",
                limit=f"{limit:.1f} s",
                remedy="quote the words to change, or cut the recording",
            )
        for start, end in spans:
            segment, _ = await self._transcriber.read_window(waveform[start:end], Hints())
            if contains_words(segment.text, plan.target.text):
                return start, end
        raise InvalidInputError(
            f"the model did not hear {plan.target.text!r} in any of the {len(spans)} windows of the recording; "
            "check the words, or cut the recording to where they are",
            value=plan.target.text,
            limit="words that the recording says",
            remedy="check the words, or cut the recording to where they are",
        )
