"""Edits of words by the model: the window that holds them is spoken anew, the rest stays the source's own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import numpy as np

from services.orchestrator.domain import EditItem, EditOrder, EditReport, Floats
from services.orchestrator.edit_model import ModelAccount, ModelEditor
from services.orchestrator.edit_tools import EditTools
from services.orchestrator.edit_words import begins_with, check_words, has_edit_mark, words_of_reasoning
from services.orchestrator.outlet import Outlet, encoded, fed
from services.orchestrator.provenance.edits import certified
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.recordings import in_thread, seconds_of
from services.orchestrator.stages import stage
from services.orchestrator.transcribe import Hints, Transcriber
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.audio.samples import Part, Samples
from uniaudio.editing.plan import Plan
from uniaudio.editing.splice import EditedRange, Splice, whole
from uniaudio.editing.target import Resolution, resolve_target
from uniaudio.errors import InvalidInputError

_LEAST_KEPT_SAMPLES = MODEL_SAMPLE_RATE // 2
"""Less is spoken again: too little to be heard for certain."""


@dataclass
class _Draft:
    """What is known about an edit before the model speaks. `window` is in samples of the recording."""

    plan: Plan
    window: tuple[int, int]
    heard: str
    resolution: Resolution | None = None
    account: ModelAccount = field(default_factory=ModelAccount)

    @property
    def start_seconds(self) -> float:
        """Where the window begins."""
        return self.window[0] / MODEL_SAMPLE_RATE


class WordEditor:
    """Edits words, and whatever free text asks for."""

    def __init__(
        self, model: ModelEditor, transcriber: Transcriber, tools: EditTools, hallmark: Hallmark
    ) -> None:
        self._hallmark = hallmark
        self._model = model
        self._transcriber = transcriber
        self._tools = tools

    async def edit(self, plan: Plan, order: EditOrder, waveform: Samples) -> AsyncGenerator[EditItem, None]:
        """Progress and reasoning, audio, and the report. With nothing to copy the sound leaves at once."""
        sampling, seed = order.sampling.with_seed()
        outlet = Outlet(order.output)
        draft = await self._draft(plan, order, waveform)
        start, end = draft.window
        marker, leaves_at_once = self._hallmark.marker(start), order.regenerate_untouched
        if leaves_at_once:
            async for message in fed(outlet, Part(waveform, 0, start)):
                yield message
        pieces = []
        window, kept = waveform[start:end], 0
        place = draft.resolution.mark if draft.resolution else None
        if not order.regenerate_untouched:
            kept = await self._kept_samples(draft, window)
        speech = self._model.speak(draft.plan, window, 0, (0.0, 1.0), sampling, draft.account, place, kept)
        async with aclosing(speech) as items:
            async for item in items:
                if isinstance(item, np.ndarray):
                    pieces.append(item)
                    for message in outlet.feed(marker.feed(item)) if leaves_at_once else ():
                        yield message
                else:
                    yield item
        spliced = await self._splice(draft, order, window, np.concatenate(pieces))
        generated = tuple(changed.result for changed in spliced.ranges)
        if leaves_at_once:
            rest: list[Samples] = [marker.finish()]
        else:
            mark = self._hallmark.mark
            marked = await in_thread(lambda _: mark(spliced.waveform, generated, position=start))
            rest = [Part(waveform, 0, start), marked]
        async for message in encoded(outlet, *rest, Part(waveform, end, len(waveform))):
            yield message
        report = await self._report(draft, order, spliced)
        report = replace(report, source_seconds=seconds_of(waveform), result_seconds=outlet.seconds)
        report = draft.account.signed(report, seed)
        yield certified(report, order, outlet, self._hallmark, generated=generated)

    async def _draft(self, plan: Plan, order: EditOrder, waveform: Samples) -> _Draft:
        """Finds the window and, in its words, the place, which the model then need not find."""
        start, end = await self._model.find_window(plan, waveform)
        is_whole = end - start == len(waveform)
        if order.transcript and is_whole:
            heard = order.transcript
        else:
            heard = (await self._transcriber.read(waveform[start:end], Hints())).text
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

    async def _kept_samples(self, draft: _Draft, window: Floats) -> int:
        """How much of the window the model goes on from: what comes before the edit and is heard to."""
        resolution = draft.resolution
        if resolution is None:
            return 0
        kept = await in_thread(lambda _: self._tools.samples_before(window, resolution))
        if kept < _LEAST_KEPT_SAMPLES:
            return 0
        heard = (await self._transcriber.read(window[:kept], Hints())).text
        return kept if begins_with(resolution.mark.before, heard) else 0

    async def _splice(self, draft: _Draft, order: EditOrder, window: Floats, spoken: Floats) -> Splice:
        """The window's result, its ranges counted from the start of the recording."""
        is_words = draft.plan.kind.changes_words or has_edit_mark(draft.account.reasoning)
        if order.regenerate_untouched or not is_words:
            spliced = whole(window, spoken, confidence=0.0)
        else:
            with stage("copy_untouched"):
                spliced = await in_thread(
                    lambda _: self._tools.copy_untouched(window, spoken, draft.resolution)
                )
        draft.account.warnings.extend(spliced.warnings)
        ranges = tuple(_shifted(changed, draft.start_seconds) for changed in spliced.ranges)
        return replace(spliced, ranges=ranges)

    async def _report(self, draft: _Draft, order: EditOrder, spliced: Splice) -> EditReport:
        thought = words_of_reasoning(draft.plan, draft.account.reasoning)
        after = draft.resolution.edited_text if draft.resolution else thought.after
        spoken = (await self._transcriber.read(spliced.waveform, Hints())).text
        checks = (check_words(after, spoken),)
        before = order.transcript or draft.heard or thought.before
        if order.transcript and draft.plan.kind.changes_words:
            after = resolve_target(draft.plan, order.transcript).edited_text
        return EditReport(
            plan=draft.plan,
            ranges=spliced.ranges,
            transcript_before=before,
            transcript_after=after,
            transcript_source="caller" if order.transcript else "model" if before or after else "",
            checks=checks,
            untouched_copied=spliced.untouched_copied,
        )


def _shifted(changed: EditedRange, seconds: float) -> EditedRange:
    """The same, later in both recordings."""
    (source_start, source_end), (result_start, result_end) = changed.source, changed.result
    return EditedRange(
        (source_start + seconds, source_end + seconds), (result_start + seconds, result_end + seconds)
    )
