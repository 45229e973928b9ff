"""Instruction to plan to edited recording: signal processing where it is exact, the model elsewhere."""

from __future__ import annotations

import itertools
import math
from collections.abc import AsyncGenerator
from contextlib import ExitStack, aclosing
from dataclasses import replace
from typing import cast

import numpy as np

from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import EditItem, EditOrder, EditReport, Progress
from services.orchestrator.edit_model import ModelAccount, ModelEditor
from services.orchestrator.edit_tools import EditTools
from services.orchestrator.following import Follower
from services.orchestrator.outlet import Outlet, encoded
from services.orchestrator.provenance.edits import certified
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.recordings import in_thread, read_samples, seconds_of
from services.orchestrator.stages import stage
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.word_edits import WordEditor
from uniaudio.audio.encode import output_format
from uniaudio.audio.limits import AudioLimits
from uniaudio.audio.samples import Samples, SpooledSamples
from uniaudio.editing.checks import Check
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.plan import EditEngine, EditKind, Plan
from uniaudio.editing.splice import EditedRange
from uniaudio.editing.target import resolve_target
from uniaudio.errors import LimitExceededError

MAX_TRANSCRIPT_CHARACTERS = 20_000


def plan_edit(order: EditOrder) -> Plan:
    """The plan with its engine settled, and its positions where the caller told the words.

    Raises InvalidInputError or one of its kinds, also for words that the caller's transcript does not hold.
    """
    plan = parse_instruction(order.instruction).with_engine(order.engine)
    if plan.kind.changes_words and order.transcript:
        return resolve_target(plan, order.transcript).plan
    return plan


def check_edit(order: EditOrder, limits: AudioLimits, *, with_audio: bool = True) -> None:
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
    if with_audio and not order.validate_only:
        limits.check_encoded_bytes(len(order.audio.content))


class Editor:
    """Edits recordings; exact edits of those longer than `whole_seconds` window by window."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        transcriber: Transcriber,
        tools: EditTools,
        *,
        limits: AudioLimits | None = None,
        hallmark: Hallmark | None = None,
        whole_seconds: float = math.inf,
    ) -> None:
        self._whole_seconds = whole_seconds
        self._hallmark = hallmark or Hallmark()
        self._model = ModelEditor(tokenizer, language_model, transcriber)
        follower = Follower(tokenizer, language_model)
        self._words = WordEditor(self._model, transcriber, follower, tools, self._hallmark)
        self._tools = tools
        self._limits = limits or AudioLimits()

    async def edit(self, order: EditOrder) -> AsyncGenerator[EditItem, None]:
        """The plan, then progress and reasoning, audio, and the report."""
        check_edit(order, self._limits)
        plan = plan_edit(order)
        yield plan
        if order.validate_only:
            return
        async with (
            read_samples(order.audio, self._limits) as samples,
            aclosing(self._edited(plan, order, samples)) as items,
        ):
            async for item in items:
                yield item

    def _edited(self, plan: Plan, order: EditOrder, samples: Samples) -> AsyncGenerator[EditItem, None]:
        if plan.engine is EditEngine.EXACT:
            return self._exactly(plan, order, samples)
        if plan.kind.changes_words or plan.kind is EditKind.UNSPECIFIED:
            return self._words.edit(plan, order, samples)
        return self._throughout(plan, order, samples)

    async def _exactly(
        self, plan: Plan, order: EditOrder, waveform: Samples
    ) -> AsyncGenerator[EditItem, None]:
        yield Progress("processing", 0.0)
        with stage("edit_exactly", kind=plan.kind.name), ExitStack() as stack:
            if seconds_of(waveform) <= self._whole_seconds:
                whole = await in_thread(lambda _: self._tools.apply_exact(plan, waveform[:]))
                result, warnings = cast(Samples, whole.waveform), whole.warnings
            else:
                long = await in_thread(lambda _: self._tools.apply_exact_windowed(plan, waveform))
                result, warnings = stack.enter_context(long.waveform), long.warnings
            outlet = Outlet(order.output, num_samples=len(result))
            async for message in encoded(outlet, result):
                yield message
            checks = await in_thread(lambda _: self._tools.measure(plan, waveform, result))
        report = _whole_report(plan, order, waveform, outlet.seconds, checks)
        report = replace(report, warnings=warnings)
        yield certified(report, order, outlet, self._hallmark, generated=())

    async def _throughout(
        self, plan: Plan, order: EditOrder, waveform: Samples
    ) -> AsyncGenerator[EditItem, None]:
        """The model speaks everything anew; its sound leaves while it is made."""
        sampling, seed = order.sampling.with_seed()
        account, outlet, marker = ModelAccount(), Outlet(order.output), self._hallmark.marker()
        with SpooledSamples() as result:
            async with aclosing(self._model.regenerate(plan, waveform, sampling, account)) as items:
                async for item in items:
                    if isinstance(item, np.ndarray):
                        result.append(item)
                        for message in outlet.feed(marker.feed(item)):
                            yield message
                    else:
                        yield item
            for message in itertools.chain(outlet.feed(marker.finish()), outlet.finish()):
                yield message
            checks = await in_thread(lambda _: self._tools.measure(plan, waveform, result))
            report = _whole_report(plan, order, waveform, seconds_of(result), checks)
        whole = ((0.0, outlet.seconds),)
        yield certified(account.signed(report, seed), order, outlet, self._hallmark, generated=whole)


def _whole_report(
    plan: Plan, order: EditOrder, waveform: Samples, result_seconds: float, checks: tuple[Check, ...]
) -> EditReport:
    """Everything changed and the words stayed."""
    source_seconds = seconds_of(waveform)
    return EditReport(
        plan=plan,
        ranges=(EditedRange((0.0, source_seconds), (0.0, result_seconds)),),
        transcript_before=order.transcript,
        transcript_after=order.transcript,
        transcript_source="caller" if order.transcript else "",
        checks=checks,
        source_seconds=source_seconds,
        result_seconds=result_seconds,
    )
