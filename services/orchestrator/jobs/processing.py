"""From an item to its result: the chain's edits one after another, each one's result the next one's source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Protocol

from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import AudioBytes, EditItem, EditOrder, EditReport, Recording
from services.orchestrator.domain import Progress as EditProgress
from services.orchestrator.jobs.codec import StepsDone
from services.orchestrator.jobs.files import AudioFile, scratch
from services.orchestrator.jobs.generations import KeepingModel, KeepingTokenizer
from services.orchestrator.jobs.model import Artifact, EditStep, Progress, job_folder
from services.orchestrator.jobs.recording_store import RecordingStore
from services.orchestrator.jobs.work import Claim, StepEnded, Succeeded
from services.orchestrator.jobs.worker import EndStep, Tell
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import MODEL_SAMPLE_RATE
from uniaudio.file_digest import sha256_of_file
from uniaudio.runtime.guard.meter import start_meter
from uniaudio.runtime.object_store import ObjectStore

_BETWEEN_STEPS = AudioFormat(encoding=AudioEncoding.PCM_F32LE, sample_rate=MODEL_SAMPLE_RATE, num_channels=1)
"""What one edit hands to the next: nothing is lost on the way."""


class FileEditor(Protocol):
    """Edits recordings that are files."""

    def edit(self, source: Path, order: EditOrder) -> AsyncGenerator[EditItem, None]:
        """What happens, audio, and the report. The order holds everything but the recording's bytes."""
        ...


MakeEditor = Callable[[Tokenizer, LanguageModel], FileEditor]
"""An editor before its neighbours."""


def order_of(step: EditStep, source: AudioFormat, output: AudioFormat) -> EditOrder:
    """One edit of a chain, without the recording's bytes."""
    return EditOrder(
        audio=Recording(content=b"", format=source),
        instruction=step.instruction,
        engine=step.engine,
        transcript=step.transcript,
        regenerate_untouched=step.regenerate_untouched,
        sampling=step.sampling,
        output=output,
    )


class ItemProcessor:
    """Does what items ask for; a `Process` of the worker's."""

    def __init__(
        self,
        store: ObjectStore,
        recordings: RecordingStore,
        tokenizer: Tokenizer,
        language_model: LanguageModel,
        make_editor: MakeEditor,
        *,
        scratch_folder: Path | None = None,
    ) -> None:
        self._store = store
        self._recordings = recordings
        self._tokenizer = tokenizer
        self._language_model = language_model
        self._make_editor = make_editor
        self._scratch_folder = scratch_folder

    async def __call__(self, claim: Claim, tell: Tell, end_step: EndStep) -> Succeeded:
        """The result of an item, from the step on that had not ended yet."""
        # The job's audio was counted when it was made, perhaps by a call that is still running.
        start_meter(None)
        steps, done = claim.spec.steps, claim.steps_done
        with scratch(self._scratch_folder) as folder:
            for number in range(len(done.reports), len(steps)):
                is_last = number == len(steps) - 1
                output = claim.spec.output if is_last else _BETWEEN_STEPS
                key, format = await self._source(claim, done)
                source = folder / f"source-{number}"
                await asyncio.to_thread(self._store.download, key, source)
                result = AudioFile(folder / f"result-{number}")
                try:
                    order = order_of(steps[number], format, output)
                    report = await self._edit(claim, number, source, order, result, tell)
                finally:
                    result.close()
                artifact = await self._keep(claim, result, report)
                done = StepsDone(reports=(*done.reports, report), artifact=artifact)
                source.unlink()
                result.path.unlink()
                if not is_last:
                    await end_step(StepEnded(claim, done))
        assert done.artifact is not None, "an item has at least one step"
        return Succeeded(claim, done, done.artifact)

    async def _source(self, claim: Claim, done: StepsDone) -> tuple[str, AudioFormat]:
        if done.artifact is not None:
            return done.artifact.object_key, done.artifact.format
        recording = await asyncio.to_thread(self._recordings.find, claim.spec.recording_id)
        return recording.object_key, recording.format

    async def _edit(
        self, claim: Claim, number: int, source: Path, order: EditOrder, result: AudioFile, tell: Tell
    ) -> EditReport:
        num_steps = len(claim.spec.steps)
        tokenizer = KeepingTokenizer(self._tokenizer, self._store, f"{_folder(claim)}/latents/{number}")
        model = KeepingModel(self._language_model, self._store, f"{_folder(claim)}/generations/{number}")
        report: EditReport | None = None
        tell(Progress(step=number, stage="reading", fraction=number / num_steps))
        async with aclosing(self._make_editor(tokenizer, model).edit(source, order)) as items:
            async for item in items:
                match item:
                    case AudioBytes():
                        await result.add(item)
                    case EditProgress():
                        share = (number + item.fraction) / num_steps
                        tell(Progress(step=number, stage=item.stage, fraction=share))
                    case EditReport():
                        report = item
        assert report is not None, "an edit ends with its report"
        return report

    async def _keep(self, claim: Claim, result: AudioFile, report: EditReport) -> Artifact:
        """Stores a result under a name that no other attempt writes."""
        format = await asyncio.to_thread(result.finish)
        sha256 = await asyncio.to_thread(sha256_of_file, result.path)
        key = f"{_folder(claim)}/results/{claim.token}-{sha256}"
        await asyncio.to_thread(self._store.upload, key, result.path)
        return Artifact(
            object_key=key,
            format=format,
            size_bytes=result.size_bytes,
            sha256=sha256,
            audio_seconds=report.result_seconds,
        )


def _folder(claim: Claim) -> str:
    job_id, index = claim.key
    return f"{job_folder(job_id)}/{index}"
