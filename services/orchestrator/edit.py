"""Instruction to plan to edited recording: signal processing where it is exact, the model elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import (
    AudioBytes,
    ChangedRange,
    EditOrder,
    EditReport,
    Floats,
    Progress,
    Reasoning,
    Sampling,
)
from services.orchestrator.edit_model import ModelAccount, ModelEditor, between, span_seconds
from services.orchestrator.edit_words import Words, has_edit_mark, words_of_reasoning
from services.orchestrator.outlet import Outlet
from services.orchestrator.recordings import in_thread, read_recording, seconds_of
from services.orchestrator.stages import stage
from services.orchestrator.synthesize import about_weights
from services.orchestrator.transcribe import Hints, Transcriber
from uniaudio.audio.encode import output_format
from uniaudio.audio.limits import MODEL_SAMPLE_RATE, AudioLimits
from uniaudio.editing.checks import Check
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.plan import EditEngine, EditKind, Plan
from uniaudio.errors import LimitExceededError

EditItem = Plan | Reasoning | Progress | AudioBytes | EditReport
MAX_TRANSCRIPT_CHARACTERS = 20_000
_BLOCK_SAMPLES = 2 * MODEL_SAMPLE_RATE


@dataclass(frozen=True)
class Exact:
    """A result of signal processing, and what its caller should know."""

    waveform: Floats
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spliced:
    """A result that is the source outside `ranges` (seconds); `note` says why where nothing could be copied."""

    waveform: Floats
    ranges: tuple[ChangedRange, ...]
    is_copied: bool = True
    note: str = ""


class EditTools(Protocol):
    """The editing library as this pipeline uses it. All waveforms are 16 kHz, `(num_samples,)`."""

    def apply_exact(self, plan: Plan, waveform: Floats, check: Callable[[], None]) -> Exact:
        """The edit by signal processing; `check` raises when the caller is gone."""
        ...

    def measure(self, plan: Plan, source: Floats, result: Floats) -> tuple[Check, ...]:
        """What can be measured about a result."""
        ...

    def compare_words(self, plan: Plan, expected: str, heard: str) -> tuple[Check, ...]:
        """Whether the result says what it should."""
        ...

    def copy_untouched(self, plan: Plan, source: Floats, spoken: Floats) -> Spliced:
        """The source with what changed in `spoken` put into it, cross-faded."""
        ...

    def edit_text(self, plan: Plan, transcript: str) -> str:
        """The words after the edit, or "" where the plan does not say."""
        ...


def plan_edit(order: EditOrder) -> Plan:
    """The plan with its engine settled. Raises InvalidInputError or one of its kinds."""
    return parse_instruction(order.instruction).with_engine(order.engine)


def check_edit(order: EditOrder, limits: AudioLimits) -> None:
    """Refuses what a look at the request shows to be wrong, before any work."""
    if len(order.transcript) > MAX_TRANSCRIPT_CHARACTERS:
        raise LimitExceededError(
            f"the transcript has {len(order.transcript)} characters, the limit is {MAX_TRANSCRIPT_CHARACTERS}; "
            "leave it out, or edit a shorter recording",
            value=len(order.transcript),
            limit=MAX_TRANSCRIPT_CHARACTERS,
            remedy="leave it out, or edit a shorter recording",
        )
    plan_edit(order)
    output_format(order.output)
    if not order.validate_only:
        limits.check_encoded_bytes(len(order.audio.content))


class Editor:
    """Edits recordings."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        transcriber: Transcriber,
        tools: EditTools,
        *,
        limits: AudioLimits | None = None,
    ) -> None:
        self._model = ModelEditor(tokenizer, language_model, transcriber)
        self._transcriber = transcriber
        self._tools = tools
        self._limits = limits or AudioLimits()

    async def edit(self, order: EditOrder) -> AsyncGenerator[EditItem, None]:
        """The plan, then progress and reasoning, audio, and the report."""
        check_edit(order, self._limits)
        plan = plan_edit(order)
        yield plan
        if order.validate_only:
            return
        waveform = await read_recording(order.audio, self._limits)
        if plan.engine is EditEngine.EXACT:
            items = self._exactly(plan, order, waveform)
        elif plan.kind.changes_words or plan.kind is EditKind.UNSPECIFIED:
            items = self._words(plan, order, waveform)
        else:
            items = self._throughout(plan, order, waveform)
        async with aclosing(items):
            async for item in items:
                yield item

    async def _exactly(
        self, plan: Plan, order: EditOrder, waveform: Floats
    ) -> AsyncGenerator[EditItem, None]:
        yield Progress("processing", 0.0)
        with stage("edit_exactly", kind=plan.kind.name):
            exact = await in_thread(lambda check: self._tools.apply_exact(plan, waveform, check))
        result = exact.waveform
        checks = await in_thread(lambda _: self._tools.measure(plan, waveform, result))
        outlet = Outlet(order.output, num_samples=len(result))
        async for message in _encoded(outlet, result):
            yield message
        report = _whole_report(plan, order, waveform, seconds_of(result), checks)
        yield replace(report, warnings=exact.warnings)

    async def _throughout(
        self, plan: Plan, order: EditOrder, waveform: Floats
    ) -> AsyncGenerator[EditItem, None]:
        """The model speaks everything anew; its sound leaves while it is made."""
        sampling, seed = order.sampling.with_seed()
        account, outlet = ModelAccount(), Outlet(order.output)
        pieces = []
        async with aclosing(self._model.regenerate(plan, waveform, sampling, account)) as items:
            async for item in items:
                if isinstance(item, np.ndarray):
                    pieces.append(item)
                    for message in outlet.feed(item):
                        yield message
                else:
                    yield item
        for message in outlet.finish():
            yield message
        result = np.concatenate(pieces)
        checks = await in_thread(lambda _: self._tools.measure(plan, waveform, result))
        report = _whole_report(plan, order, waveform, seconds_of(result), checks)
        yield _by_model(report, account, seed)

    async def _words(self, plan: Plan, order: EditOrder, waveform: Floats) -> AsyncGenerator[EditItem, None]:
        """The model speaks the window that holds the words; the rest is the source's own."""
        sampling, seed = order.sampling.with_seed()
        account, outlet = ModelAccount(), Outlet(order.output)
        start, end = await self._model.find_window(plan, waveform)
        # With nothing to copy the sound can leave at once, after what stands before the window.
        leaves_at_once = order.regenerate_untouched
        if leaves_at_once:
            for message in await asyncio.to_thread(list, outlet.feed(waveform[:start])):
                yield message
        pieces = []
        async with aclosing(self._speak(plan, waveform[start:end], sampling, account)) as items:
            async for item in items:
                if isinstance(item, np.ndarray):
                    pieces.append(item)
                    for message in outlet.feed(item) if leaves_at_once else ():
                        yield message
                else:
                    yield item
        spliced = await self._splice(plan, order, waveform, (start, end), np.concatenate(pieces), account)
        rest = waveform[end:] if leaves_at_once else spliced.waveform
        async for message in _encoded(outlet, rest):
            yield message
        yield await self._words_report(plan, order, waveform, (start, end), spliced, account, seed)

    def _speak(
        self, plan: Plan, window: Floats, sampling: Sampling, account: ModelAccount
    ) -> AsyncGenerator[Reasoning | Progress | Floats, None]:
        return self._model.speak(plan, window, 0, (0.0, 1.0), sampling, account)

    async def _splice(
        self,
        plan: Plan,
        order: EditOrder,
        waveform: Floats,
        span: tuple[int, int],
        spoken: Floats,
        account: ModelAccount,
    ) -> Spliced:
        """The result over the whole recording, with its ranges."""
        start, end = span
        window = waveform[start:end]
        is_words = plan.kind.changes_words or has_edit_mark(account.reasoning)
        if order.regenerate_untouched or not is_words:
            changed = ChangedRange((0.0, seconds_of(window)), (0.0, seconds_of(spoken)))
            spliced = Spliced(spoken, (changed,), is_copied=False)
        else:
            with stage("copy_untouched"):
                spliced = await in_thread(lambda _: self._tools.copy_untouched(plan, window, spoken))
        if spliced.note:
            account.warnings.append(spliced.note)
        shift, _ = span_seconds(start, end)
        ranges = tuple(_shifted(changed, shift) for changed in spliced.ranges)
        return replace(spliced, waveform=between(waveform, start, end, spliced.waveform), ranges=ranges)

    async def _words_report(
        self,
        plan: Plan,
        order: EditOrder,
        waveform: Floats,
        span: tuple[int, int],
        spliced: Spliced,
        account: ModelAccount,
        seed: int,
    ) -> EditReport:
        start, end = span
        words = await self._words_of(plan, order, waveform[start:end], account)
        last = start + len(spliced.waveform) - (len(waveform) - (end - start))
        heard = await self._transcriber.read(spliced.waveform[start:last], Hints())
        checks = self._tools.compare_words(plan, words.after, heard.text)
        report = EditReport(
            plan=plan,
            ranges=spliced.ranges,
            transcript_before=words.before,
            transcript_after=words.after,
            transcript_source="caller"
            if order.transcript
            else "model"
            if any((words.before, words.after))
            else "",
            checks=checks,
            untouched_copied=spliced.is_copied,
            source_seconds=seconds_of(waveform),
            result_seconds=seconds_of(spliced.waveform),
        )
        return _by_model(report, account, seed)

    async def _words_of(self, plan: Plan, order: EditOrder, window: Floats, account: ModelAccount) -> Words:
        """The words before and after: the caller's, else the model's own, else a transcription's."""
        thought = words_of_reasoning(plan, account.reasoning)
        before = order.transcript or thought.before
        if not before:
            before = (await self._transcriber.read(window, Hints())).text
        return Words(before, self._tools.edit_text(plan, before) or thought.after)


async def _encoded(outlet: Outlet, waveform: Floats) -> AsyncGenerator[AudioBytes, None]:
    """Messages of a waveform that is all there, encoded beside the event loop, and the end of the answer."""
    for start in range(0, len(waveform), _BLOCK_SAMPLES):
        for message in await asyncio.to_thread(list, outlet.feed(waveform[start : start + _BLOCK_SAMPLES])):
            yield message
    for message in await asyncio.to_thread(list, outlet.finish()):
        yield message


def _shifted(changed: ChangedRange, seconds: float) -> ChangedRange:
    (source_start, source_end), (result_start, result_end) = changed.source, changed.result
    return ChangedRange(
        (source_start + seconds, source_end + seconds), (result_start + seconds, result_end + seconds)
    )


def _whole_report(
    plan: Plan, order: EditOrder, waveform: Floats, result_seconds: float, checks: tuple[Check, ...]
) -> EditReport:
    """Everything changed and the words stayed."""
    source_seconds = seconds_of(waveform)
    return EditReport(
        plan=plan,
        ranges=(ChangedRange((0.0, source_seconds), (0.0, result_seconds)),),
        transcript_before=order.transcript,
        transcript_after=order.transcript,
        transcript_source="caller" if order.transcript else "",
        checks=checks,
        source_seconds=source_seconds,
        result_seconds=result_seconds,
    )


def _by_model(report: EditReport, account: ModelAccount, seed: int) -> EditReport:
    warnings = (*account.warnings, *about_weights(account.model))
    return replace(report, warnings=warnings, model=account.model, seed=seed)
