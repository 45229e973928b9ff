"""Messages of the contract to plain values and back."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp

from services.orchestrator import domain
from services.orchestrator.load import Load
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.editing.checks import Check
from uniaudio.editing.plan import EditEngine, Plan
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import audio_pb2, edits_pb2, llm_pb2, provenance_pb2, speech_pb2

_ENCODINGS = {
    audio_pb2.AUDIO_ENCODING_UNSPECIFIED: AudioEncoding.AUTO,
    audio_pb2.AUDIO_ENCODING_PCM_S16LE: AudioEncoding.PCM_S16LE,
    audio_pb2.AUDIO_ENCODING_PCM_F32LE: AudioEncoding.PCM_F32LE,
    audio_pb2.AUDIO_ENCODING_WAV: AudioEncoding.WAV,
    audio_pb2.AUDIO_ENCODING_FLAC: AudioEncoding.FLAC,
    audio_pb2.AUDIO_ENCODING_OGG: AudioEncoding.OGG,
    audio_pb2.AUDIO_ENCODING_MP3: AudioEncoding.MP3,
    audio_pb2.AUDIO_ENCODING_OPUS: AudioEncoding.OPUS,
}
_ENCODING_NUMBERS = {encoding: number for number, encoding in _ENCODINGS.items()}
_NORMALIZATIONS = {
    speech_pb2.TEXT_NORMALIZATION_UNSPECIFIED: domain.Normalization.AUTO,
    speech_pb2.TEXT_NORMALIZATION_AUTO: domain.Normalization.AUTO,
    speech_pb2.TEXT_NORMALIZATION_NONE: domain.Normalization.NONE,
    speech_pb2.TEXT_NORMALIZATION_REFERENCE_CHINESE: domain.Normalization.REFERENCE_CHINESE,
}
_REASONS = {
    domain.FinishReason.STOP: llm_pb2.FINISH_REASON_STOP,
    domain.FinishReason.LENGTH: llm_pb2.FINISH_REASON_LENGTH,
}


def audio_format(message: audio_pb2.AudioFormat) -> AudioFormat:
    """The layout; raises InvalidInputError for an encoding that this version does not know."""
    if message.encoding not in _ENCODINGS:
        raise _unknown("format.encoding", message.encoding, len(_ENCODINGS) - 1)
    return AudioFormat(
        encoding=_ENCODINGS[message.encoding],
        sample_rate=message.sample_rate,
        num_channels=message.num_channels,
    )


def recording(message: audio_pb2.Audio) -> domain.Recording:
    """The recording as it was sent."""
    return domain.Recording(content=message.content, format=audio_format(message.format))


def audio_message(kept: domain.Recording) -> audio_pb2.Audio:
    """The recording as it is kept."""
    return audio_pb2.Audio(content=kept.content, format=format_message(kept.format))


def sampling(message: llm_pb2.SamplingOptions) -> domain.Sampling:
    """The caller's wishes; raises InvalidInputError for those outside their bounds."""
    guidance = message.guidance_scale if message.HasField("guidance_scale") else None
    temperature = message.temperature if message.HasField("temperature") else None
    _check_range("sampling.guidance_scale", 3.0 if guidance is None else guidance, 1, 20)
    _check_range("sampling.temperature", 1.5 if temperature is None else temperature, 0, 4)
    _check_range("sampling.num_solver_steps", message.num_solver_steps, 0, 64)
    _check_range("sampling.takes", message.takes, 0, domain.MAX_TAKES)
    return domain.Sampling(
        guidance_scale=guidance,
        num_solver_steps=message.num_solver_steps,
        temperature=temperature,
        seed=message.seed if message.HasField("seed") else None,
        takes=message.takes,
    )


def transcribe_order(request: speech_pb2.TranscribeRequest) -> domain.TranscribeOrder:
    """A recording to transcribe."""
    return domain.TranscribeOrder(
        audio=recording(request.audio),
        context_phrases=tuple(request.context_phrases),
        language=request.language,
    )


def live_order(config: speech_pb2.StreamTranscribeConfig) -> domain.LiveOrder:
    """How live audio is transcribed."""
    return domain.LiveOrder(
        format=audio_format(config.format),
        context_phrases=tuple(config.context_phrases),
        language=config.language,
        interim_results=config.interim_results,
    )


def synthesize_order(request: speech_pb2.SynthesizeRequest) -> domain.SynthesizeOrder:
    """Text to speak."""
    if request.normalization not in _NORMALIZATIONS:
        raise _unknown("normalization", request.normalization, len(_NORMALIZATIONS) - 1)
    return domain.SynthesizeOrder(
        text=request.text,
        prompt_audio=recording(request.prompt_audio) if request.HasField("prompt_audio") else None,
        prompt_text=request.prompt_text,
        voice_id=request.voice_id,
        normalization=_NORMALIZATIONS[request.normalization],
        sampling=sampling(request.sampling),
        output=audio_format(request.output_format),
        text_in_manifest=request.text_in_manifest,
    )


def edit_engine(number: int) -> EditEngine:
    """Who carries an edit out; raises InvalidInputError for an engine that this version does not know."""
    if number not in edits_pb2.EditEngine.values():
        raise _unknown("engine", number, len(EditEngine) - 1)
    return EditEngine(number)


def edit_order(request: speech_pb2.EditRequest) -> domain.EditOrder:
    """A recording and what to do with it."""
    return domain.EditOrder(
        audio=recording(request.audio),
        instruction=request.instruction,
        engine=edit_engine(request.engine),
        transcript=request.transcript,
        regenerate_untouched=request.regenerate_untouched,
        validate_only=request.validate_only,
        sampling=sampling(request.sampling),
        output=audio_format(request.output_format),
        text_in_manifest=request.text_in_manifest,
    )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidInputError(
            f"{name} is {value:g}, allowed are {low:g} to {high:g}; choose a value inside",
            value=f"{value:g}",
            limit=f"{low:g} to {high:g}",
            remedy="choose a value inside",
        )


def _unknown(name: str, number: int, highest: int) -> InvalidInputError:
    return InvalidInputError(
        f"{name} is {number}, known are 0 to {highest}; use one of them, or a newer server",
        value=number,
        limit=f"0 to {highest}",
        remedy="use a known value, or a newer server",
    )


def model_message(model: domain.Model) -> audio_pb2.ModelInfo:
    """Which model answered."""
    return audio_pb2.ModelInfo(
        name=model.name,
        revision=model.revision,
        trained=model.trained,
        notice=model.notice,
        takes=model.takes,
    )


def provenance_message(made: domain.Provenance) -> provenance_pb2.Provenance:
    """How an answer's audio was made."""
    return provenance_pb2.Provenance(
        watermarked=made.watermarked,
        watermark_key_id=made.watermark_key_id,
        generated=[time_range(*span) for span in made.generated],
        manifest=made.manifest,
    )


def info_response(info: domain.Info) -> speech_pb2.GetInfoResponse:
    """What is loaded and what is allowed."""
    return speech_pb2.GetInfoResponse(
        version=info.version,
        model=model_message(info.model),
        tokenizer=model_message(info.tokenizer),
        sample_rate=info.sample_rate,
        max_audio_seconds=info.max_audio_seconds,
        max_audio_bytes=info.max_audio_bytes,
        max_text_characters=info.max_text_characters,
        load=_load(info.load),
    )


def _load(load: Load) -> speech_pb2.Load:
    return speech_pb2.Load(
        num_running=load.num_running,
        num_waiting=load.num_waiting,
        max_running=load.max_running,
        queue_seconds=load.queue_seconds,
        real_time_factor=load.real_time_factor,
    )


def _segment(segment: domain.Segment) -> speech_pb2.TranscriptSegment:
    return speech_pb2.TranscriptSegment(
        time_range=time_range(segment.start_seconds, segment.end_seconds),
        text=segment.text,
        language=segment.language,
        truncated=segment.truncated,
    )


def transcribe_response(transcript: domain.Transcript, request_id: str) -> speech_pb2.TranscribeResponse:
    """The text of a recording."""
    return speech_pb2.TranscribeResponse(
        request_id=request_id,
        text=transcript.text,
        language=transcript.language,
        segments=map(_segment, transcript.segments),
        audio_seconds=transcript.audio_seconds,
        model=model_message(transcript.model),
    )


def progressive_response(
    item: domain.TextDelta | domain.Transcript, request_id: str
) -> speech_pb2.TranscribeProgressivelyResponse:
    """The next characters, or the whole."""
    if isinstance(item, domain.TextDelta):
        return speech_pb2.TranscribeProgressivelyResponse(text_delta=item.text)
    return speech_pb2.TranscribeProgressivelyResponse(transcript=transcribe_response(item, request_id))


def live_response(text: domain.LiveText) -> speech_pb2.StreamTranscribeResponse:
    """Text of the current utterance."""
    return speech_pb2.StreamTranscribeResponse(
        segment=_segment(text.segment),
        final=text.final,
        model=None if text.model is None else model_message(text.model),
    )


def format_message(layout: AudioFormat) -> audio_pb2.AudioFormat:
    """How audio is written."""
    return audio_pb2.AudioFormat(
        encoding=_ENCODING_NUMBERS[layout.encoding],
        sample_rate=layout.sample_rate,
        num_channels=layout.num_channels,
    )


def _chunk(piece: domain.AudioBytes) -> audio_pb2.AudioChunk:
    return audio_pb2.AudioChunk(
        format=format_message(piece.format), content=piece.content, start_seconds=piece.start_seconds
    )


def synthesize_response(
    item: domain.AudioBytes | domain.SynthesizeReport, request_id: str
) -> speech_pb2.SynthesizeResponse:
    """A piece of speech, or the end."""
    if isinstance(item, domain.AudioBytes):
        return speech_pb2.SynthesizeResponse(audio=_chunk(item))
    return speech_pb2.SynthesizeResponse(
        report=speech_pb2.SynthesizeReport(
            request_id=request_id,
            spoken_text=item.spoken_text,
            audio_seconds=item.audio_seconds,
            first_audio_seconds=item.first_audio_seconds,
            finish_reason=_REASONS[item.finish_reason],
            seed=item.seed,
            warnings=item.warnings,
            model=model_message(item.model),
            provenance=provenance_message(item.provenance),
        )
    )


def edit_response(
    item: Plan | domain.Reasoning | domain.Progress | domain.AudioBytes | domain.EditReport, request_id: str
) -> speech_pb2.EditResponse:
    """Something that happened during an edit."""
    match item:
        case Plan():
            return speech_pb2.EditResponse(plan=plan_message(item))
        case domain.Reasoning():
            return speech_pb2.EditResponse(reasoning_text=item.text)
        case domain.Progress():
            progress = speech_pb2.EditProgress(stage=item.stage, fraction=item.fraction)
            return speech_pb2.EditResponse(progress=progress)
        case domain.AudioBytes():
            return speech_pb2.EditResponse(audio=_chunk(item))
        case domain.EditReport():
            return speech_pb2.EditResponse(report=edit_report_message(item, request_id))


def plan_message(plan: Plan) -> edits_pb2.EditPlan:
    """What will be done. The numbers of kind, engine and place are the contract's."""
    return edits_pb2.EditPlan(
        instruction=plan.instruction,
        kind=int(plan.kind),  # type: ignore[arg-type]
        engine=int(plan.engine),  # type: ignore[arg-type]
        target=edits_pb2.TextTarget(
            text=plan.target.text, start_index=plan.target.start_index, end_index=plan.target.end_index
        ),
        place=int(plan.place),  # type: ignore[arg-type]
        new_text=plan.new_text,
        value=plan.value,
        name=plan.name,
        model_instruction=plan.model_instruction,
        reasoning=plan.reasoning,
        summary=plan.summary,
    )


def edit_report_message(report: domain.EditReport, request_id: str) -> edits_pb2.EditReport:
    """What was done."""
    return edits_pb2.EditReport(
        request_id=request_id,
        plan=plan_message(report.plan),
        ranges=[
            edits_pb2.EditedRange(source=time_range(*changed.source), result=time_range(*changed.result))
            for changed in report.ranges
        ],
        transcript_before=report.transcript_before,
        transcript_after=report.transcript_after,
        transcript_source=report.transcript_source,
        checks=map(_check, report.checks),
        untouched_copied=report.untouched_copied,
        source_seconds=report.source_seconds,
        result_seconds=report.result_seconds,
        warnings=report.warnings,
        model=None if report.model is None else model_message(report.model),
        seed=report.seed,
        provenance=provenance_message(report.provenance),
    )


def _check(check: Check) -> edits_pb2.EditCheck:
    return edits_pb2.EditCheck(
        name=check.name,
        verdict=int(check.verdict),  # type: ignore[arg-type]
        expected=check.expected,
        measured=check.measured,
        tolerance=check.tolerance,
        unit=check.unit,
        detail=check.detail,
    )


def time_range(start_seconds: float, end_seconds: float) -> audio_pb2.TimeRange:
    """A span in seconds."""
    return audio_pb2.TimeRange(start_seconds=start_seconds, end_seconds=end_seconds)


def timestamp(seconds: float | None) -> Timestamp | None:
    """Seconds since 1970 as the contract writes them; None stays unset."""
    if seconds is None:
        return None
    moment = Timestamp()
    moment.FromMicroseconds(round(seconds * 1e6))
    return moment
