"""Messages of EditJobService to plain values and back."""

from __future__ import annotations

from dataclasses import replace

from services.orchestrator import translate
from services.orchestrator.job_filter import parse_filter
from services.orchestrator.jobs.model import (
    Artifact,
    Counts,
    EditStep,
    Failure,
    Item,
    ItemSpec,
    Job,
    JobPage,
    JobQuery,
    JobSpec,
    Progress,
    Recording,
    State,
)
from uniaudio.audio.formats import AudioFormat
from uniaudio.runtime.status import to_status_code
from uniaudio.v1 import audio_pb2, jobs_pb2, llm_pb2, speech_pb2

_STATES = {
    State.QUEUED: jobs_pb2.EDIT_JOB_STATE_QUEUED,
    State.RUNNING: jobs_pb2.EDIT_JOB_STATE_RUNNING,
    State.SUCCEEDED: jobs_pb2.EDIT_JOB_STATE_SUCCEEDED,
    State.FAILED: jobs_pb2.EDIT_JOB_STATE_FAILED,
    State.CANCELLED: jobs_pb2.EDIT_JOB_STATE_CANCELLED,
}


def job_spec(request: jobs_pb2.CreateEditJobRequest) -> JobSpec:
    """What the caller asks for; raises InvalidInputError for numbers that mean nothing."""
    ttl_seconds = request.ttl.ToNanoseconds() / 1e9 if request.HasField("ttl") else None
    return JobSpec(items=tuple(map(_item_spec, request.items)), ttl_seconds=ttl_seconds)


def _item_spec(message: jobs_pb2.EditJobItemSpec) -> ItemSpec:
    return ItemSpec(
        recording_id=message.recording_id,
        steps=tuple(map(_step, message.edits)),
        output=translate.audio_format(message.output_format),
        label=message.label,
    )


def _step(message: jobs_pb2.EditStep) -> EditStep:
    return EditStep(
        instruction=message.instruction,
        engine=translate.edit_engine(message.engine),
        transcript=message.transcript,
        regenerate_untouched=message.regenerate_untouched,
        sampling=translate.sampling(message.sampling),
    )


def job_query(request: jobs_pb2.ListEditJobsRequest) -> JobQuery:
    """Which jobs the caller asks for."""
    return replace(parse_filter(request.filter), page_size=request.page_size, page_token=request.page_token)


def recording_message(recording: Recording) -> jobs_pb2.Recording:
    """A recording that was uploaded."""
    return jobs_pb2.Recording(
        recording_id=recording.recording_id,
        format=translate.format_message(recording.format),
        size_bytes=recording.size_bytes,
        sha256=recording.sha256,
        audio_seconds=recording.audio_seconds,
        expire_time=translate.timestamp(recording.expires_at),
    )


def job_message(job: Job) -> jobs_pb2.EditJob:
    """A job, with the items that it has here."""
    return jobs_pb2.EditJob(
        job_id=job.job_id,
        request_id=job.request_id,
        caller=job.caller,
        state=_STATES[job.state],
        revision=job.revision,
        counts=_counts(job.counts),
        fraction=job.fraction,
        create_time=translate.timestamp(job.created_at),
        start_time=translate.timestamp(job.started_at),
        update_time=translate.timestamp(job.updated_at),
        end_time=translate.timestamp(job.ended_at),
        expire_time=translate.timestamp(job.expires_at),
        items=[_item(item, job.request_id) for item in job.items],
    )


def list_response(page: JobPage) -> jobs_pb2.ListEditJobsResponse:
    """A page of jobs."""
    return jobs_pb2.ListEditJobsResponse(
        jobs=map(job_message, page.jobs), next_page_token=page.next_page_token
    )


def result_message(artifact: Artifact) -> jobs_pb2.EditResult:
    """What an item made."""
    return jobs_pb2.EditResult(
        format=translate.format_message(artifact.format),
        size_bytes=artifact.size_bytes,
        sha256=artifact.sha256,
        audio_seconds=artifact.audio_seconds,
    )


def chunk_message(layout: AudioFormat, content: bytes) -> audio_pb2.AudioChunk:
    """A piece of a result."""
    return audio_pb2.AudioChunk(format=translate.format_message(layout), content=content)


def _item(item: Item, request_id: str) -> jobs_pb2.EditJobItem:
    return jobs_pb2.EditJobItem(
        index=item.index,
        spec=_spec_message(item.spec),
        state=_STATES[item.state],
        revision=item.revision,
        step=item.progress.step,
        progress=_progress(item.progress),
        attempts=item.num_attempts,
        start_time=translate.timestamp(item.started_at),
        end_time=translate.timestamp(item.ended_at),
        retry_time=translate.timestamp(item.retry_at),
        error=None if item.failure is None else _error(item.failure),
        reports=[translate.edit_report_message(report, request_id) for report in item.reports],
        result=None if item.result is None else result_message(item.result),
    )


def _spec_message(spec: ItemSpec) -> jobs_pb2.EditJobItemSpec:
    return jobs_pb2.EditJobItemSpec(
        recording_id=spec.recording_id,
        edits=map(_step_message, spec.steps),
        output_format=translate.format_message(spec.output),
        label=spec.label,
    )


def _step_message(step: EditStep) -> jobs_pb2.EditStep:
    sampling = step.sampling
    return jobs_pb2.EditStep(
        instruction=step.instruction,
        engine=int(step.engine),  # type: ignore[arg-type]
        transcript=step.transcript,
        regenerate_untouched=step.regenerate_untouched,
        sampling=llm_pb2.SamplingOptions(
            guidance_scale=sampling.guidance_scale,
            num_solver_steps=sampling.num_solver_steps,
            temperature=sampling.temperature,
            seed=sampling.seed,
            takes=sampling.takes,
        ),
    )


def _progress(progress: Progress) -> speech_pb2.EditProgress:
    return speech_pb2.EditProgress(stage=progress.stage, fraction=progress.fraction)


def _error(failure: Failure) -> jobs_pb2.EditJobError:
    code: int = to_status_code(failure.as_error()).value[0]
    return jobs_pb2.EditJobError(
        code=code, reason=failure.reason, message=failure.message, metadata=failure.metadata
    )


def _counts(counts: Counts) -> jobs_pb2.EditJobCounts:
    return jobs_pb2.EditJobCounts(
        total=counts.total,
        queued=counts.queued,
        running=counts.running,
        succeeded=counts.succeeded,
        failed=counts.failed,
        cancelled=counts.cancelled,
    )
