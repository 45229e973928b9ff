from uniaudio.v1 import audio_pb2 as _audio_pb2
from uniaudio.v1 import edits_pb2 as _edits_pb2
from uniaudio.v1 import llm_pb2 as _llm_pb2
from uniaudio.v1 import provenance_pb2 as _provenance_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TextNormalization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TEXT_NORMALIZATION_UNSPECIFIED: _ClassVar[TextNormalization]
    TEXT_NORMALIZATION_AUTO: _ClassVar[TextNormalization]
    TEXT_NORMALIZATION_NONE: _ClassVar[TextNormalization]
    TEXT_NORMALIZATION_REFERENCE_CHINESE: _ClassVar[TextNormalization]
TEXT_NORMALIZATION_UNSPECIFIED: TextNormalization
TEXT_NORMALIZATION_AUTO: TextNormalization
TEXT_NORMALIZATION_NONE: TextNormalization
TEXT_NORMALIZATION_REFERENCE_CHINESE: TextNormalization

class GetInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetInfoResponse(_message.Message):
    __slots__ = ("version", "model", "tokenizer", "sample_rate", "max_audio_seconds", "max_audio_bytes", "max_text_characters", "load")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TOKENIZER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    MAX_AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MAX_AUDIO_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_TEXT_CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    version: str
    model: _audio_pb2.ModelInfo
    tokenizer: _audio_pb2.ModelInfo
    sample_rate: int
    max_audio_seconds: float
    max_audio_bytes: int
    max_text_characters: int
    load: Load
    def __init__(self, version: _Optional[str] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ..., tokenizer: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ..., sample_rate: _Optional[int] = ..., max_audio_seconds: _Optional[float] = ..., max_audio_bytes: _Optional[int] = ..., max_text_characters: _Optional[int] = ..., load: _Optional[_Union[Load, _Mapping]] = ...) -> None: ...

class Load(_message.Message):
    __slots__ = ("num_running", "num_waiting", "max_running", "queue_seconds", "real_time_factor")
    NUM_RUNNING_FIELD_NUMBER: _ClassVar[int]
    NUM_WAITING_FIELD_NUMBER: _ClassVar[int]
    MAX_RUNNING_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    REAL_TIME_FACTOR_FIELD_NUMBER: _ClassVar[int]
    num_running: int
    num_waiting: int
    max_running: int
    queue_seconds: float
    real_time_factor: float
    def __init__(self, num_running: _Optional[int] = ..., num_waiting: _Optional[int] = ..., max_running: _Optional[int] = ..., queue_seconds: _Optional[float] = ..., real_time_factor: _Optional[float] = ...) -> None: ...

class TranscribeRequest(_message.Message):
    __slots__ = ("request_id", "audio", "context_phrases", "language")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_PHRASES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    audio: _audio_pb2.Audio
    context_phrases: _containers.RepeatedScalarFieldContainer[str]
    language: str
    def __init__(self, request_id: _Optional[str] = ..., audio: _Optional[_Union[_audio_pb2.Audio, _Mapping]] = ..., context_phrases: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ...) -> None: ...

class TranscriptSegment(_message.Message):
    __slots__ = ("time_range", "text", "language", "truncated")
    TIME_RANGE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    time_range: _audio_pb2.TimeRange
    text: str
    language: str
    truncated: bool
    def __init__(self, time_range: _Optional[_Union[_audio_pb2.TimeRange, _Mapping]] = ..., text: _Optional[str] = ..., language: _Optional[str] = ..., truncated: _Optional[bool] = ...) -> None: ...

class TranscribeResponse(_message.Message):
    __slots__ = ("request_id", "text", "language", "segments", "audio_seconds", "model")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    text: str
    language: str
    segments: _containers.RepeatedCompositeFieldContainer[TranscriptSegment]
    audio_seconds: float
    model: _audio_pb2.ModelInfo
    def __init__(self, request_id: _Optional[str] = ..., text: _Optional[str] = ..., language: _Optional[str] = ..., segments: _Optional[_Iterable[_Union[TranscriptSegment, _Mapping]]] = ..., audio_seconds: _Optional[float] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ...) -> None: ...

class TranscribeProgressivelyRequest(_message.Message):
    __slots__ = ("transcribe",)
    TRANSCRIBE_FIELD_NUMBER: _ClassVar[int]
    transcribe: TranscribeRequest
    def __init__(self, transcribe: _Optional[_Union[TranscribeRequest, _Mapping]] = ...) -> None: ...

class TranscribeProgressivelyResponse(_message.Message):
    __slots__ = ("text_delta", "transcript")
    TEXT_DELTA_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    text_delta: str
    transcript: TranscribeResponse
    def __init__(self, text_delta: _Optional[str] = ..., transcript: _Optional[_Union[TranscribeResponse, _Mapping]] = ...) -> None: ...

class StreamTranscribeConfig(_message.Message):
    __slots__ = ("request_id", "format", "context_phrases", "language", "interim_results")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_PHRASES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    INTERIM_RESULTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    format: _audio_pb2.AudioFormat
    context_phrases: _containers.RepeatedScalarFieldContainer[str]
    language: str
    interim_results: bool
    def __init__(self, request_id: _Optional[str] = ..., format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., context_phrases: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., interim_results: _Optional[bool] = ...) -> None: ...

class StreamTranscribeRequest(_message.Message):
    __slots__ = ("config", "audio_content")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    AUDIO_CONTENT_FIELD_NUMBER: _ClassVar[int]
    config: StreamTranscribeConfig
    audio_content: bytes
    def __init__(self, config: _Optional[_Union[StreamTranscribeConfig, _Mapping]] = ..., audio_content: _Optional[bytes] = ...) -> None: ...

class StreamTranscribeResponse(_message.Message):
    __slots__ = ("segment", "final", "model")
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    segment: TranscriptSegment
    final: bool
    model: _audio_pb2.ModelInfo
    def __init__(self, segment: _Optional[_Union[TranscriptSegment, _Mapping]] = ..., final: _Optional[bool] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ...) -> None: ...

class SynthesizeRequest(_message.Message):
    __slots__ = ("request_id", "text", "prompt_audio", "prompt_text", "normalization", "sampling", "output_format", "voice_id", "text_in_manifest")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_AUDIO_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEXT_FIELD_NUMBER: _ClassVar[int]
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    VOICE_ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_IN_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    text: str
    prompt_audio: _audio_pb2.Audio
    prompt_text: str
    normalization: TextNormalization
    sampling: _llm_pb2.SamplingOptions
    output_format: _audio_pb2.AudioFormat
    voice_id: str
    text_in_manifest: bool
    def __init__(self, request_id: _Optional[str] = ..., text: _Optional[str] = ..., prompt_audio: _Optional[_Union[_audio_pb2.Audio, _Mapping]] = ..., prompt_text: _Optional[str] = ..., normalization: _Optional[_Union[TextNormalization, str]] = ..., sampling: _Optional[_Union[_llm_pb2.SamplingOptions, _Mapping]] = ..., output_format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., voice_id: _Optional[str] = ..., text_in_manifest: _Optional[bool] = ...) -> None: ...

class SynthesizeResponse(_message.Message):
    __slots__ = ("audio", "report")
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    audio: _audio_pb2.AudioChunk
    report: SynthesizeReport
    def __init__(self, audio: _Optional[_Union[_audio_pb2.AudioChunk, _Mapping]] = ..., report: _Optional[_Union[SynthesizeReport, _Mapping]] = ...) -> None: ...

class SynthesizeReport(_message.Message):
    __slots__ = ("request_id", "spoken_text", "audio_seconds", "first_audio_seconds", "finish_reason", "seed", "warnings", "model", "provenance")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SPOKEN_TEXT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FIRST_AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    FINISH_REASON_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    spoken_text: str
    audio_seconds: float
    first_audio_seconds: float
    finish_reason: _llm_pb2.FinishReason
    seed: int
    warnings: _containers.RepeatedScalarFieldContainer[str]
    model: _audio_pb2.ModelInfo
    provenance: _provenance_pb2.Provenance
    def __init__(self, request_id: _Optional[str] = ..., spoken_text: _Optional[str] = ..., audio_seconds: _Optional[float] = ..., first_audio_seconds: _Optional[float] = ..., finish_reason: _Optional[_Union[_llm_pb2.FinishReason, str]] = ..., seed: _Optional[int] = ..., warnings: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ..., provenance: _Optional[_Union[_provenance_pb2.Provenance, _Mapping]] = ...) -> None: ...

class EditRequest(_message.Message):
    __slots__ = ("request_id", "audio", "instruction", "engine", "transcript", "regenerate_untouched", "validate_only", "sampling", "output_format", "text_in_manifest")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    REGENERATE_UNTOUCHED_FIELD_NUMBER: _ClassVar[int]
    VALIDATE_ONLY_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    TEXT_IN_MANIFEST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    audio: _audio_pb2.Audio
    instruction: str
    engine: _edits_pb2.EditEngine
    transcript: str
    regenerate_untouched: bool
    validate_only: bool
    sampling: _llm_pb2.SamplingOptions
    output_format: _audio_pb2.AudioFormat
    text_in_manifest: bool
    def __init__(self, request_id: _Optional[str] = ..., audio: _Optional[_Union[_audio_pb2.Audio, _Mapping]] = ..., instruction: _Optional[str] = ..., engine: _Optional[_Union[_edits_pb2.EditEngine, str]] = ..., transcript: _Optional[str] = ..., regenerate_untouched: _Optional[bool] = ..., validate_only: _Optional[bool] = ..., sampling: _Optional[_Union[_llm_pb2.SamplingOptions, _Mapping]] = ..., output_format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., text_in_manifest: _Optional[bool] = ...) -> None: ...

class EditProgress(_message.Message):
    __slots__ = ("stage", "fraction")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    stage: str
    fraction: float
    def __init__(self, stage: _Optional[str] = ..., fraction: _Optional[float] = ...) -> None: ...

class EditResponse(_message.Message):
    __slots__ = ("plan", "reasoning_text", "progress", "audio", "report")
    PLAN_FIELD_NUMBER: _ClassVar[int]
    REASONING_TEXT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    REPORT_FIELD_NUMBER: _ClassVar[int]
    plan: _edits_pb2.EditPlan
    reasoning_text: str
    progress: EditProgress
    audio: _audio_pb2.AudioChunk
    report: _edits_pb2.EditReport
    def __init__(self, plan: _Optional[_Union[_edits_pb2.EditPlan, _Mapping]] = ..., reasoning_text: _Optional[str] = ..., progress: _Optional[_Union[EditProgress, _Mapping]] = ..., audio: _Optional[_Union[_audio_pb2.AudioChunk, _Mapping]] = ..., report: _Optional[_Union[_edits_pb2.EditReport, _Mapping]] = ...) -> None: ...
