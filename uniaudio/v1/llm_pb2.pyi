from uniaudio.v1 import audio_pb2 as _audio_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Priority(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRIORITY_UNSPECIFIED: _ClassVar[Priority]
    PRIORITY_LIVE: _ClassVar[Priority]
    PRIORITY_BATCH: _ClassVar[Priority]

class FinishReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    FINISH_REASON_UNSPECIFIED: _ClassVar[FinishReason]
    FINISH_REASON_STOP: _ClassVar[FinishReason]
    FINISH_REASON_LENGTH: _ClassVar[FinishReason]
PRIORITY_UNSPECIFIED: Priority
PRIORITY_LIVE: Priority
PRIORITY_BATCH: Priority
FINISH_REASON_UNSPECIFIED: FinishReason
FINISH_REASON_STOP: FinishReason
FINISH_REASON_LENGTH: FinishReason

class GenerateOptions(_message.Message):
    __slots__ = ("request_id", "understand", "speak", "edit", "follow", "sampling", "deadline_milliseconds", "made", "priority")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    UNDERSTAND_FIELD_NUMBER: _ClassVar[int]
    SPEAK_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_MILLISECONDS_FIELD_NUMBER: _ClassVar[int]
    MADE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    understand: UnderstandTask
    speak: SpeakTask
    edit: EditTask
    follow: FollowTask
    sampling: SamplingOptions
    deadline_milliseconds: int
    made: MadePatches
    priority: Priority
    def __init__(self, request_id: _Optional[str] = ..., understand: _Optional[_Union[UnderstandTask, _Mapping]] = ..., speak: _Optional[_Union[SpeakTask, _Mapping]] = ..., edit: _Optional[_Union[EditTask, _Mapping]] = ..., follow: _Optional[_Union[FollowTask, _Mapping]] = ..., sampling: _Optional[_Union[SamplingOptions, _Mapping]] = ..., deadline_milliseconds: _Optional[int] = ..., made: _Optional[_Union[MadePatches, _Mapping]] = ..., priority: _Optional[_Union[Priority, str]] = ...) -> None: ...

class MadePatches(_message.Message):
    __slots__ = ("num_patches", "latents")
    NUM_PATCHES_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    num_patches: int
    latents: bytes
    def __init__(self, num_patches: _Optional[int] = ..., latents: _Optional[bytes] = ...) -> None: ...

class UnderstandTask(_message.Message):
    __slots__ = ("context_phrases", "language", "max_tokens")
    CONTEXT_PHRASES_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    context_phrases: _containers.RepeatedScalarFieldContainer[str]
    language: str
    max_tokens: int
    def __init__(self, context_phrases: _Optional[_Iterable[str]] = ..., language: _Optional[str] = ..., max_tokens: _Optional[int] = ...) -> None: ...

class SpeakTask(_message.Message):
    __slots__ = ("text", "prompt_text", "min_patches", "max_patches", "known_voice")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PROMPT_TEXT_FIELD_NUMBER: _ClassVar[int]
    MIN_PATCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_PATCHES_FIELD_NUMBER: _ClassVar[int]
    KNOWN_VOICE_FIELD_NUMBER: _ClassVar[int]
    text: str
    prompt_text: str
    min_patches: int
    max_patches: int
    known_voice: bool
    def __init__(self, text: _Optional[str] = ..., prompt_text: _Optional[str] = ..., min_patches: _Optional[int] = ..., max_patches: _Optional[int] = ..., known_voice: _Optional[bool] = ...) -> None: ...

class EditMark(_message.Message):
    __slots__ = ("before", "after", "adds_speech")
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    ADDS_SPEECH_FIELD_NUMBER: _ClassVar[int]
    before: str
    after: str
    adds_speech: bool
    def __init__(self, before: _Optional[str] = ..., after: _Optional[str] = ..., adds_speech: _Optional[bool] = ...) -> None: ...

class EditTask(_message.Message):
    __slots__ = ("instruction", "reasoning", "min_patches", "max_patches", "max_tokens", "mark", "kept_frames")
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    MIN_PATCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_PATCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_TOKENS_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    KEPT_FRAMES_FIELD_NUMBER: _ClassVar[int]
    instruction: str
    reasoning: bool
    min_patches: int
    max_patches: int
    max_tokens: int
    mark: EditMark
    kept_frames: int
    def __init__(self, instruction: _Optional[str] = ..., reasoning: _Optional[bool] = ..., min_patches: _Optional[int] = ..., max_patches: _Optional[int] = ..., max_tokens: _Optional[int] = ..., mark: _Optional[_Union[EditMark, _Mapping]] = ..., kept_frames: _Optional[int] = ...) -> None: ...

class FollowTask(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class SamplingOptions(_message.Message):
    __slots__ = ("guidance_scale", "num_solver_steps", "temperature", "seed", "takes")
    GUIDANCE_SCALE_FIELD_NUMBER: _ClassVar[int]
    NUM_SOLVER_STEPS_FIELD_NUMBER: _ClassVar[int]
    TEMPERATURE_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    TAKES_FIELD_NUMBER: _ClassVar[int]
    guidance_scale: float
    num_solver_steps: int
    temperature: float
    seed: int
    takes: int
    def __init__(self, guidance_scale: _Optional[float] = ..., num_solver_steps: _Optional[int] = ..., temperature: _Optional[float] = ..., seed: _Optional[int] = ..., takes: _Optional[int] = ...) -> None: ...

class GenerateEvent(_message.Message):
    __slots__ = ("text", "patch", "finish", "heartbeat", "letters")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    PATCH_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    LETTERS_FIELD_NUMBER: _ClassVar[int]
    text: TextEvent
    patch: PatchEvent
    finish: FinishEvent
    heartbeat: HeartbeatEvent
    letters: LettersEvent
    def __init__(self, text: _Optional[_Union[TextEvent, _Mapping]] = ..., patch: _Optional[_Union[PatchEvent, _Mapping]] = ..., finish: _Optional[_Union[FinishEvent, _Mapping]] = ..., heartbeat: _Optional[_Union[HeartbeatEvent, _Mapping]] = ..., letters: _Optional[_Union[LettersEvent, _Mapping]] = ...) -> None: ...

class TextEvent(_message.Message):
    __slots__ = ("text", "num_tokens")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUM_TOKENS_FIELD_NUMBER: _ClassVar[int]
    text: str
    num_tokens: int
    def __init__(self, text: _Optional[str] = ..., num_tokens: _Optional[int] = ...) -> None: ...

class PatchEvent(_message.Message):
    __slots__ = ("index", "stop_probability", "last")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    STOP_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    index: int
    stop_probability: float
    last: bool
    def __init__(self, index: _Optional[int] = ..., stop_probability: _Optional[float] = ..., last: _Optional[bool] = ...) -> None: ...

class LettersEvent(_message.Message):
    __slots__ = ("num_patches",)
    NUM_PATCHES_FIELD_NUMBER: _ClassVar[int]
    num_patches: int
    def __init__(self, num_patches: _Optional[int] = ...) -> None: ...

class FinishEvent(_message.Message):
    __slots__ = ("reason", "text", "num_patches", "queue_seconds", "total_seconds", "model")
    REASON_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUM_PATCHES_FIELD_NUMBER: _ClassVar[int]
    QUEUE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SECONDS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    reason: FinishReason
    text: str
    num_patches: int
    queue_seconds: float
    total_seconds: float
    model: _audio_pb2.ModelInfo
    def __init__(self, reason: _Optional[_Union[FinishReason, str]] = ..., text: _Optional[str] = ..., num_patches: _Optional[int] = ..., queue_seconds: _Optional[float] = ..., total_seconds: _Optional[float] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ...) -> None: ...

class HeartbeatEvent(_message.Message):
    __slots__ = ("num_ahead",)
    NUM_AHEAD_FIELD_NUMBER: _ClassVar[int]
    num_ahead: int
    def __init__(self, num_ahead: _Optional[int] = ...) -> None: ...
