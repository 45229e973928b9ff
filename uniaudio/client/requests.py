"""Requests from Python values: what both clients, sync and async, send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from uniaudio.client.audio import AudioSource, OutputFormat, audio_message, output_message
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import audio_pb2, edits_pb2, llm_pb2, provenance_pb2, speech_pb2

Engine = Literal["auto", "model", "exact"]
"""Who carries an edit out: signal processing where it is exact, always the model, or never."""

Normalization = Literal["auto", "none", "reference_chinese"]
"""How numbers and dates are read: by the text's language, not at all, or by the published Chinese rules."""

_ENGINES: dict[Engine, edits_pb2.EditEngine] = {
    "auto": edits_pb2.EDIT_ENGINE_AUTO,
    "model": edits_pb2.EDIT_ENGINE_MODEL,
    "exact": edits_pb2.EDIT_ENGINE_EXACT,
}
_NORMALIZATIONS: dict[Normalization, speech_pb2.TextNormalization] = {
    "auto": speech_pb2.TEXT_NORMALIZATION_AUTO,
    "none": speech_pb2.TEXT_NORMALIZATION_NONE,
    "reference_chinese": speech_pb2.TEXT_NORMALIZATION_REFERENCE_CHINESE,
}


def sampling(
    *,
    seed: int | None = None,
    guidance_scale: float | None = None,
    temperature: float | None = None,
    num_solver_steps: int | None = None,
    takes: int | None = None,
) -> llm_pb2.SamplingOptions:
    """How the flow head samples; None leaves it to the server, the seed too (its report tells which).

    With more than one of `takes` a sentence is spoken up to that often, until the model hears it right.
    """
    return llm_pb2.SamplingOptions(
        seed=seed,
        guidance_scale=guidance_scale,
        temperature=temperature,
        num_solver_steps=num_solver_steps or 0,
        takes=takes or 0,
    )


def engine_message(engine: Engine) -> edits_pb2.EditEngine:
    """Who carries an edit out; InvalidInputError for a name that is not known."""
    if engine not in _ENGINES:
        raise InvalidInputError(
            f"engine {engine!r} is not known; use one of {', '.join(_ENGINES)}",
            value=engine,
            limit=", ".join(_ENGINES),
            remedy="use one of them",
        )
    return _ENGINES[engine]


def transcribe_request(
    audio: AudioSource,
    *,
    sample_rate: int | None,
    context_phrases: Sequence[str],
    language: str,
    request_id: str,
) -> speech_pb2.TranscribeRequest:
    """The message of one transcription."""
    return speech_pb2.TranscribeRequest(
        request_id=request_id,
        audio=audio_message(audio, sample_rate),
        context_phrases=context_phrases,
        language=language,
    )


def synthesize_request(
    text: str,
    *,
    prompt_audio: AudioSource | None,
    prompt_sample_rate: int | None,
    prompt_text: str,
    voice_id: str,
    normalization: Normalization,
    options: llm_pb2.SamplingOptions | None,
    output_format: OutputFormat,
    output_sample_rate: int | None,
    text_in_manifest: bool,
    request_id: str,
) -> speech_pb2.SynthesizeRequest:
    """The message of one synthesis."""
    if normalization not in _NORMALIZATIONS:
        raise InvalidInputError(
            f"normalization {normalization!r} is not known; use one of {', '.join(_NORMALIZATIONS)}",
            value=normalization,
            limit=", ".join(_NORMALIZATIONS),
            remedy="use one of them",
        )
    return speech_pb2.SynthesizeRequest(
        request_id=request_id,
        text=text,
        prompt_audio=None if prompt_audio is None else audio_message(prompt_audio, prompt_sample_rate),
        prompt_text=prompt_text,
        voice_id=voice_id,
        normalization=_NORMALIZATIONS[normalization],
        sampling=options,
        output_format=output_message(output_format, output_sample_rate),
        text_in_manifest=text_in_manifest,
    )


def edit_request(
    audio: AudioSource,
    instruction: str,
    *,
    sample_rate: int | None,
    engine: Engine,
    transcript: str,
    regenerate_untouched: bool,
    validate_only: bool,
    options: llm_pb2.SamplingOptions | None,
    output_format: OutputFormat,
    output_sample_rate: int | None,
    text_in_manifest: bool,
    request_id: str,
) -> speech_pb2.EditRequest:
    """The message of one edit."""
    return speech_pb2.EditRequest(
        request_id=request_id,
        audio=audio_message(audio, sample_rate),
        instruction=instruction,
        engine=engine_message(engine),
        transcript=transcript,
        regenerate_untouched=regenerate_untouched,
        validate_only=validate_only,
        sampling=options,
        output_format=output_message(output_format, output_sample_rate),
        text_in_manifest=text_in_manifest,
    )


def verify_request(
    audio: AudioSource, manifest: str, *, sample_rate: int | None, request_id: str
) -> provenance_pb2.VerifyRequest:
    """The message of one verification."""
    return provenance_pb2.VerifyRequest(
        request_id=request_id, audio=audio_message(audio, sample_rate), manifest=manifest
    )


def live_config(
    *,
    sample_rate: int,
    sample_type: Literal["int16", "float32"],
    context_phrases: Sequence[str],
    language: str,
    interim_results: bool,
    request_id: str,
) -> speech_pb2.StreamTranscribeRequest:
    """The first message of a live stream."""
    encoding = (
        audio_pb2.AUDIO_ENCODING_PCM_S16LE if sample_type == "int16" else audio_pb2.AUDIO_ENCODING_PCM_F32LE
    )
    return speech_pb2.StreamTranscribeRequest(
        config=speech_pb2.StreamTranscribeConfig(
            request_id=request_id,
            format=audio_pb2.AudioFormat(encoding=encoding, sample_rate=sample_rate, num_channels=1),
            context_phrases=context_phrases,
            language=language,
            interim_results=interim_results,
        )
    )
