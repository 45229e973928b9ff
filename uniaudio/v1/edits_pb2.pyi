from uniaudio.v1 import audio_pb2 as _audio_pb2
from uniaudio.v1 import provenance_pb2 as _provenance_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EditKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDIT_KIND_UNSPECIFIED: _ClassVar[EditKind]
    EDIT_KIND_INSERT: _ClassVar[EditKind]
    EDIT_KIND_DELETE: _ClassVar[EditKind]
    EDIT_KIND_SUBSTITUTE: _ClassVar[EditKind]
    EDIT_KIND_DENOISE: _ClassVar[EditKind]
    EDIT_KIND_SPEED: _ClassVar[EditKind]
    EDIT_KIND_PITCH: _ClassVar[EditKind]
    EDIT_KIND_VOLUME: _ClassVar[EditKind]
    EDIT_KIND_BACKGROUND: _ClassVar[EditKind]
    EDIT_KIND_EMOTION: _ClassVar[EditKind]
    EDIT_KIND_DIALECT: _ClassVar[EditKind]

class EditEngine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDIT_ENGINE_UNSPECIFIED: _ClassVar[EditEngine]
    EDIT_ENGINE_AUTO: _ClassVar[EditEngine]
    EDIT_ENGINE_MODEL: _ClassVar[EditEngine]
    EDIT_ENGINE_EXACT: _ClassVar[EditEngine]

class InsertPlace(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INSERT_PLACE_UNSPECIFIED: _ClassVar[InsertPlace]
    INSERT_PLACE_BEFORE: _ClassVar[InsertPlace]
    INSERT_PLACE_AFTER: _ClassVar[InsertPlace]
    INSERT_PLACE_BEGINNING: _ClassVar[InsertPlace]
    INSERT_PLACE_END: _ClassVar[InsertPlace]

class CheckVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECK_VERDICT_UNSPECIFIED: _ClassVar[CheckVerdict]
    CHECK_VERDICT_PASSED: _ClassVar[CheckVerdict]
    CHECK_VERDICT_FAILED: _ClassVar[CheckVerdict]
    CHECK_VERDICT_SKIPPED: _ClassVar[CheckVerdict]
EDIT_KIND_UNSPECIFIED: EditKind
EDIT_KIND_INSERT: EditKind
EDIT_KIND_DELETE: EditKind
EDIT_KIND_SUBSTITUTE: EditKind
EDIT_KIND_DENOISE: EditKind
EDIT_KIND_SPEED: EditKind
EDIT_KIND_PITCH: EditKind
EDIT_KIND_VOLUME: EditKind
EDIT_KIND_BACKGROUND: EditKind
EDIT_KIND_EMOTION: EditKind
EDIT_KIND_DIALECT: EditKind
EDIT_ENGINE_UNSPECIFIED: EditEngine
EDIT_ENGINE_AUTO: EditEngine
EDIT_ENGINE_MODEL: EditEngine
EDIT_ENGINE_EXACT: EditEngine
INSERT_PLACE_UNSPECIFIED: InsertPlace
INSERT_PLACE_BEFORE: InsertPlace
INSERT_PLACE_AFTER: InsertPlace
INSERT_PLACE_BEGINNING: InsertPlace
INSERT_PLACE_END: InsertPlace
CHECK_VERDICT_UNSPECIFIED: CheckVerdict
CHECK_VERDICT_PASSED: CheckVerdict
CHECK_VERDICT_FAILED: CheckVerdict
CHECK_VERDICT_SKIPPED: CheckVerdict

class TextTarget(_message.Message):
    __slots__ = ("text", "start_index", "end_index")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    START_INDEX_FIELD_NUMBER: _ClassVar[int]
    END_INDEX_FIELD_NUMBER: _ClassVar[int]
    text: str
    start_index: int
    end_index: int
    def __init__(self, text: _Optional[str] = ..., start_index: _Optional[int] = ..., end_index: _Optional[int] = ...) -> None: ...

class EditPlan(_message.Message):
    __slots__ = ("instruction", "kind", "engine", "target", "place", "new_text", "value", "name", "model_instruction", "reasoning", "summary")
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    PLACE_FIELD_NUMBER: _ClassVar[int]
    NEW_TEXT_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    REASONING_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    instruction: str
    kind: EditKind
    engine: EditEngine
    target: TextTarget
    place: InsertPlace
    new_text: str
    value: float
    name: str
    model_instruction: str
    reasoning: bool
    summary: str
    def __init__(self, instruction: _Optional[str] = ..., kind: _Optional[_Union[EditKind, str]] = ..., engine: _Optional[_Union[EditEngine, str]] = ..., target: _Optional[_Union[TextTarget, _Mapping]] = ..., place: _Optional[_Union[InsertPlace, str]] = ..., new_text: _Optional[str] = ..., value: _Optional[float] = ..., name: _Optional[str] = ..., model_instruction: _Optional[str] = ..., reasoning: _Optional[bool] = ..., summary: _Optional[str] = ...) -> None: ...

class EditedRange(_message.Message):
    __slots__ = ("source", "result")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    source: _audio_pb2.TimeRange
    result: _audio_pb2.TimeRange
    def __init__(self, source: _Optional[_Union[_audio_pb2.TimeRange, _Mapping]] = ..., result: _Optional[_Union[_audio_pb2.TimeRange, _Mapping]] = ...) -> None: ...

class EditCheck(_message.Message):
    __slots__ = ("name", "verdict", "expected", "measured", "tolerance", "unit", "detail")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_FIELD_NUMBER: _ClassVar[int]
    MEASURED_FIELD_NUMBER: _ClassVar[int]
    TOLERANCE_FIELD_NUMBER: _ClassVar[int]
    UNIT_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    name: str
    verdict: CheckVerdict
    expected: float
    measured: float
    tolerance: float
    unit: str
    detail: str
    def __init__(self, name: _Optional[str] = ..., verdict: _Optional[_Union[CheckVerdict, str]] = ..., expected: _Optional[float] = ..., measured: _Optional[float] = ..., tolerance: _Optional[float] = ..., unit: _Optional[str] = ..., detail: _Optional[str] = ...) -> None: ...

class EditReport(_message.Message):
    __slots__ = ("request_id", "plan", "ranges", "transcript_before", "transcript_after", "transcript_source", "checks", "untouched_copied", "source_seconds", "result_seconds", "warnings", "model", "seed", "provenance")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    PLAN_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_AFTER_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    UNTOUCHED_COPIED_FIELD_NUMBER: _ClassVar[int]
    SOURCE_SECONDS_FIELD_NUMBER: _ClassVar[int]
    RESULT_SECONDS_FIELD_NUMBER: _ClassVar[int]
    WARNINGS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    PROVENANCE_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    plan: EditPlan
    ranges: _containers.RepeatedCompositeFieldContainer[EditedRange]
    transcript_before: str
    transcript_after: str
    transcript_source: str
    checks: _containers.RepeatedCompositeFieldContainer[EditCheck]
    untouched_copied: bool
    source_seconds: float
    result_seconds: float
    warnings: _containers.RepeatedScalarFieldContainer[str]
    model: _audio_pb2.ModelInfo
    seed: int
    provenance: _provenance_pb2.Provenance
    def __init__(self, request_id: _Optional[str] = ..., plan: _Optional[_Union[EditPlan, _Mapping]] = ..., ranges: _Optional[_Iterable[_Union[EditedRange, _Mapping]]] = ..., transcript_before: _Optional[str] = ..., transcript_after: _Optional[str] = ..., transcript_source: _Optional[str] = ..., checks: _Optional[_Iterable[_Union[EditCheck, _Mapping]]] = ..., untouched_copied: _Optional[bool] = ..., source_seconds: _Optional[float] = ..., result_seconds: _Optional[float] = ..., warnings: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ..., seed: _Optional[int] = ..., provenance: _Optional[_Union[_provenance_pb2.Provenance, _Mapping]] = ...) -> None: ...
