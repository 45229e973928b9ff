"""Edits of words by the model: the window that holds them is spoken anew, the rest stays the source's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import numpy as np

from services.orchestrator.attempts import Listening, derive_seed
from services.orchestrator.domain import (
    EditItem,
    EditOrder,
    EditReport,
    Floats,
    Progress,
    Reasoning,
    Sampling,
)
from services.orchestrator.ear import WordRange
from services.orchestrator.edit_model import ModelAccount, ModelEditor
from services.orchestrator.edit_tools import EditTools
from services.orchestrator.edit_words import Words, has_edit_mark, shown_reasoning, words_of_reasoning
from services.orchestrator.following import Follower, Place
from services.orchestrator.heard_words import begins_with, check_words
from services.orchestrator.listening import Heard
from services.orchestrator.outlet import Outlet, encoded, fed
from services.orchestrator.provenance.edits import certified
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.recordings import in_thread, seconds_of
from services.orchestrator.stages import stage
from services.orchestrator.transcribe import Hints, Transcriber
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.samples import Part, Samples
from uniaudio.editing.plan import EditKind, Plan
from uniaudio.editing.splice import EditedRange, Splice, whole
from uniaudio.editing.target import Resolution, resolve_target
from uniaudio.errors import InvalidInputError

_LEAST_KEPT_SAMPLES = MODEL_SAMPLE_RATE // 2
"""Less is spoken again: too little to be heard for certain."""


@dataclass
class _Draft:
    """What is known about an edit before the model speaks.

    `window` is in samples of the recording, `place`, where what goes was heard, in samples of the window.
    """

    plan: Plan
    window: tuple[int, int]
    heard: str
    resolution: Resolution | None = None
    place: Place | None = None
    account: ModelAccount = field(default_factory=ModelAccount)

    @property
    def start_seconds(self) -> float:
        """Where the window begins."""
        return self.window[0] / MODEL_SAMPLE_RATE


@dataclass(frozen=True)
class _Take:
    """One result of a window, with the words that it should say and those that the model hears in it."""

    spliced: Splice
    account: ModelAccount
    thought: Words
    wanted: str
    heard: str
    is_cut: bool = False

    @property
    def generated(self) -> tuple[tuple[float, float], ...]:
        """The model's own seconds of the result; nothing where words were only cut out."""
        if self.is_cut:
            return ()
        return tuple(changed.result for changed in self.spliced.ranges)


class WordEditor:
    """Edits words, and whatever free text asks for."""

    def __init__(
        self,
        model: ModelEditor,
        transcriber: Transcriber,
        follower: Follower,
        tools: EditTools,
        hallmark: Hallmark,
    ) -> None:
        self._hallmark = hallmark
        self._model = model
        self._transcriber = transcriber
        self._follower = follower
        self._tools = tools

    async def edit(self, plan: Plan, order: EditOrder, waveform: Samples) -> AsyncGenerator[EditItem, None]:
        """Progress and reasoning, audio, and the report. With nothing to copy the sound leaves at once."""
        sampling, seed = order.sampling.with_seed()
        outlet = Outlet(order.output)
        draft = await self._draft(plan, order, waveform)
        if order.regenerate_untouched:
            edited = self._anew
        else:
            draft.place = await self._find(draft, waveform)
            is_found = draft.place is not None
            edited = self._cut if is_found and draft.plan.kind is EditKind.DELETE else self._within
        async with aclosing(edited(draft, waveform, sampling, outlet)) as items:
            async for item in items:
                if isinstance(item, _Take):
                    take = item
                else:
                    yield item
        report = self._report(draft, order, take)
        report = replace(report, source_seconds=seconds_of(waveform), result_seconds=outlet.seconds)
        report = take.account.signed(report, seed)
        yield certified(report, order, outlet, self._hallmark, generated=take.generated)

    async def _anew(
        self, draft: _Draft, waveform: Samples, sampling: Sampling, outlet: Outlet
    ) -> AsyncGenerator[EditItem | _Take, None]:
        """The whole window is the model's, and leaves while it is made, or once it is heard to be right."""
        start, end = draft.window
        window, marker, pieces = waveform[start:end], self._hallmark.marker(start), []
        async for message in fed(outlet, Part(waveform, 0, start)):
            yield message
        listening = None
        if draft.resolution:
            max_takes = await self._model.max_takes(sampling)
            listening = self._model.listening(draft.resolution.edited_text, max_takes)
        async with aclosing(
            self._spoken(draft, window, sampling, draft.account, listening=listening)
        ) as items:
            async for item in items:
                if isinstance(item, np.ndarray):
                    pieces.append(item)
                    for message in outlet.feed(marker.feed(item)):
                        yield message
                else:
                    yield item
        spliced = whole(window, np.concatenate(pieces), confidence=0.0)
        async for message in encoded(outlet, marker.finish(), Part(waveform, end, len(waveform))):
            yield message
        yield await self._heard(draft, spliced, draft.account)

    async def _cut(
        self, draft: _Draft, waveform: Samples, sampling: Sampling, outlet: Outlet
    ) -> AsyncGenerator[EditItem | _Take, None]:
        """Words that vanish need no new sound: what was heard to be theirs is left out."""
        assert draft.resolution is not None, "it was needed to find the place"
        assert draft.place is not None, "else the model speaks"
        start, end = draft.window
        account, window, place = draft.account, waveform[start:end], draft.place
        account.model = await self._model.model()
        account.reasoning = draft.resolution.mark.reasoning
        yield Reasoning(shown_reasoning(account.reasoning))
        spliced = await in_thread(lambda _: self._tools.cut_out(window, place))
        async for message in encoded(outlet, *_in_place(waveform, draft.window, spliced.waveform)):
            yield message
        yield replace(await self._heard(draft, spliced, account), is_cut=True)

    async def _within(
        self, draft: _Draft, waveform: Samples, sampling: Sampling, outlet: Outlet
    ) -> AsyncGenerator[EditItem | _Take, None]:
        """What was not edited stays the source's own; spoken until it is heard to be right."""
        start, end = draft.window
        window = waveform[start:end]
        kept = await self._kept_samples(draft, window)
        max_takes = await self._model.max_takes(sampling) if draft.resolution else 1
        best: tuple[Heard, Splice, ModelAccount] | None = None
        for number in range(max_takes):
            seeded = replace(sampling, seed=derive_seed(sampling.seed or 0, number, 0))
            account, pieces = draft.account.copy(), []
            shares = (number / max_takes, (number + 1) / max_takes)
            if draft.place is not None and draft.resolution is not None:
                spoken = self._model.say(draft.resolution, window, shares, seeded, account)
            else:
                spoken = self._spoken(draft, window, seeded, account, shares, kept)
            async with aclosing(spoken) as items:
                async for item in items:
                    if isinstance(item, np.ndarray):
                        pieces.append(item)
                    elif number == 0 or not isinstance(item, Reasoning):
                        yield item
            spliced = await self._splice(draft, window, np.concatenate(pieces), account)
            wanted = self._wanted(draft, account)
            heard = await self._model.listener.hear(
                spliced.waveform, wanted, _words_of_interest(draft.resolution)
            )
            if best is None or heard.doubt < best[0].doubt:
                best = heard, spliced, account
            if heard.is_right:
                break
        assert best is not None, "there is at least one take"
        heard, spliced, account = best
        take = await self._heard(draft, spliced, account, heard.text)
        mark, generated, result = self._hallmark.mark, take.generated, take.spliced.waveform
        marked = await in_thread(lambda _: mark(result, generated, position=start))
        async for message in encoded(outlet, *_in_place(waveform, draft.window, marked)):
            yield message
        yield take

    def _spoken(
        self,
        draft: _Draft,
        window: Floats,
        sampling: Sampling,
        account: ModelAccount,
        shares: tuple[float, float] = (0.0, 1.0),
        kept: int = 0,
        listening: Listening | None = None,
    ) -> AsyncGenerator[Reasoning | Progress | Floats, None]:
        mark = draft.resolution.mark if draft.resolution else None
        return self._model.speak(draft.plan, window, 0, shares, sampling, account, mark, kept, listening)

    async def _draft(self, plan: Plan, order: EditOrder, waveform: Samples) -> _Draft:
        """Finds the window and, in its words, the place, which the model then need not find."""
        start, end = await self._model.find_window(plan, waveform)
        is_whole = end - start == len(waveform)
        if order.transcript and is_whole:
            heard = order.transcript
        else:
            heard = (await self._transcriber.read(waveform[start:end], Hints(), thorough=True)).text
        draft = _Draft(plan, (start, end), heard)
        if plan.kind.changes_words:
            try:
                draft.resolution = resolve_target(plan, heard)
            except InvalidInputError as error:
                # Only what the model heard can fail here; the caller's words were looked through before.
                draft.account.warnings.append(f"the model was left to find the place: {error.message}")
            else:
                draft.plan = draft.resolution.plan
                draft.account.warnings.extend(filter(None, [draft.resolution.note]))
        return draft

    async def _find(self, draft: _Draft, waveform: Samples) -> Place | None:
        """Where in the window the words are that go, or the moment at which new ones come."""
        if draft.resolution is None:
            return None
        window = waveform[draft.window[0] : draft.window[1]]
        return await self._follower.find(window, draft.heard, draft.resolution.source_span)

    async def _kept_samples(self, draft: _Draft, window: Floats) -> int:
        """How much of the window the model goes on from: what comes before the edit and is heard to."""
        resolution = draft.resolution
        if resolution is None or draft.place is not None:  # then the words are said anew
            return 0
        kept = await in_thread(lambda _: self._tools.samples_before(window, resolution))
        if kept < _LEAST_KEPT_SAMPLES:
            return 0
        heard = (await self._transcriber.read(window[:kept], Hints())).text
        return kept if begins_with(resolution.mark.before, heard) else 0

    async def _splice(self, draft: _Draft, window: Floats, spoken: Floats, account: ModelAccount) -> Splice:
        """The window's result."""
        if not (draft.plan.kind.changes_words or has_edit_mark(account.reasoning)):
            return whole(window, spoken, confidence=0.0)
        place, resolution = draft.place, draft.resolution
        if place is not None and resolution is not None:
            said = await self._follower.find(spoken, resolution.edited_text, resolution.edited_span)
            if said is not None:
                return await in_thread(lambda _: self._tools.put_in(window, spoken, place, said))
        with stage("copy_untouched"):
            return await in_thread(lambda _: self._tools.copy_untouched(window, spoken, draft.resolution))

    def _wanted(self, draft: _Draft, account: ModelAccount) -> str:
        """What the window's result should say; empty where nobody could tell."""
        if draft.resolution:
            return draft.resolution.edited_text
        return words_of_reasoning(draft.plan, account.reasoning).after

    async def _heard(
        self, draft: _Draft, spliced: Splice, account: ModelAccount, heard: str | None = None
    ) -> _Take:
        """What the model hears in the window's result, whose ranges count from the start of the recording."""
        account.warnings.extend(spliced.warnings)
        ranges = tuple(_shifted(changed, draft.start_seconds) for changed in spliced.ranges)
        thought = words_of_reasoning(draft.plan, account.reasoning)
        wanted = self._wanted(draft, account)
        if heard is None:
            heard = await self._model.listener.read(spliced.waveform)
        return _Take(replace(spliced, ranges=ranges), account, thought, wanted, heard)

    def _report(self, draft: _Draft, order: EditOrder, take: _Take) -> EditReport:
        before, after = order.transcript or draft.heard or take.thought.before, take.wanted
        if order.transcript and draft.plan.kind.changes_words:
            after = resolve_target(draft.plan, order.transcript).edited_text
        return EditReport(
            plan=draft.plan,
            ranges=take.spliced.ranges,
            transcript_before=before,
            transcript_after=after,
            transcript_source="caller" if order.transcript else "model" if before or after else "",
            checks=(check_words(take.wanted, take.heard),),
            untouched_copied=take.spliced.untouched_copied,
        )


def _words_of_interest(resolution: Resolution | None) -> WordRange | None:
    """The new words, by number, and the one on each side, into which they were put; None where all may have changed."""
    if resolution is None:
        return None
    text, (start, end) = resolution.edited_text, resolution.edited_span
    first, count = len(text[:start].split()), len(text[start:end].split())
    return max(0, first - 1), min(len(text.split()), first + count + 1)


def _in_place(waveform: Samples, window: tuple[int, int], result: Floats) -> tuple[Samples, ...]:
    """The recording with the window's result in the window's place."""
    start, end = window
    return Part(waveform, 0, start), result, Part(waveform, end, len(waveform))


def _shifted(changed: EditedRange, seconds: float) -> EditedRange:
    """The same, later in both recordings."""
    (source_start, source_end), (result_start, result_end) = changed.source, changed.result
    return EditedRange(
        (source_start + seconds, source_end + seconds), (result_start + seconds, result_end + seconds)
    )
