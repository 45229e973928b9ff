import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from uniaudio.v1 import audio_pb2 as _audio_pb2
from uniaudio.v1 import edits_pb2 as _edits_pb2
from uniaudio.v1 import llm_pb2 as _llm_pb2
from uniaudio.v1 import speech_pb2 as _speech_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class EditJobState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    EDIT_JOB_STATE_UNSPECIFIED: _ClassVar[EditJobState]
    EDIT_JOB_STATE_QUEUED: _ClassVar[EditJobState]
    EDIT_JOB_STATE_RUNNING: _ClassVar[EditJobState]
    EDIT_JOB_STATE_SUCCEEDED: _ClassVar[EditJobState]
    EDIT_JOB_STATE_FAILED: _ClassVar[EditJobState]
    EDIT_JOB_STATE_CANCELLED: _ClassVar[EditJobState]
EDIT_JOB_STATE_UNSPECIFIED: EditJobState
EDIT_JOB_STATE_QUEUED: EditJobState
EDIT_JOB_STATE_RUNNING: EditJobState
EDIT_JOB_STATE_SUCCEEDED: EditJobState
EDIT_JOB_STATE_FAILED: EditJobState
EDIT_JOB_STATE_CANCELLED: EditJobState

class Recording(_message.Message):
    __slots__ = ("recording_id", "format", "size_bytes", "sha256", "audio_seconds", "expire_time")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    format: _audio_pb2.AudioFormat
    size_bytes: int
    sha256: str
    audio_seconds: float
    expire_time: _timestamp_pb2.Timestamp
    def __init__(self, recording_id: _Optional[str] = ..., format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., audio_seconds: _Optional[float] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class UploadRecordingConfig(_message.Message):
    __slots__ = ("request_id", "format", "sha256")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    format: _audio_pb2.AudioFormat
    sha256: str
    def __init__(self, request_id: _Optional[str] = ..., format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., sha256: _Optional[str] = ...) -> None: ...

class UploadRecordingRequest(_message.Message):
    __slots__ = ("config", "content")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    config: UploadRecordingConfig
    content: bytes
    def __init__(self, config: _Optional[_Union[UploadRecordingConfig, _Mapping]] = ..., content: _Optional[bytes] = ...) -> None: ...

class UploadRecordingResponse(_message.Message):
    __slots__ = ("recording",)
    RECORDING_FIELD_NUMBER: _ClassVar[int]
    recording: Recording
    def __init__(self, recording: _Optional[_Union[Recording, _Mapping]] = ...) -> None: ...

class EditStep(_message.Message):
    __slots__ = ("instruction", "engine", "transcript", "regenerate_untouched", "sampling")
    INSTRUCTION_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    REGENERATE_UNTOUCHED_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_FIELD_NUMBER: _ClassVar[int]
    instruction: str
    engine: _edits_pb2.EditEngine
    transcript: str
    regenerate_untouched: bool
    sampling: _llm_pb2.SamplingOptions
    def __init__(self, instruction: _Optional[str] = ..., engine: _Optional[_Union[_edits_pb2.EditEngine, str]] = ..., transcript: _Optional[str] = ..., regenerate_untouched: _Optional[bool] = ..., sampling: _Optional[_Union[_llm_pb2.SamplingOptions, _Mapping]] = ...) -> None: ...

class EditJobItemSpec(_message.Message):
    __slots__ = ("recording_id", "edits", "output_format", "label")
    RECORDING_ID_FIELD_NUMBER: _ClassVar[int]
    EDITS_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    recording_id: str
    edits: _containers.RepeatedCompositeFieldContainer[EditStep]
    output_format: _audio_pb2.AudioFormat
    label: str
    def __init__(self, recording_id: _Optional[str] = ..., edits: _Optional[_Iterable[_Union[EditStep, _Mapping]]] = ..., output_format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., label: _Optional[str] = ...) -> None: ...

class EditJobError(_message.Message):
    __slots__ = ("code", "reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class EditResult(_message.Message):
    __slots__ = ("format", "size_bytes", "sha256", "audio_seconds")
    FORMAT_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    AUDIO_SECONDS_FIELD_NUMBER: _ClassVar[int]
    format: _audio_pb2.AudioFormat
    size_bytes: int
    sha256: str
    audio_seconds: float
    def __init__(self, format: _Optional[_Union[_audio_pb2.AudioFormat, _Mapping]] = ..., size_bytes: _Optional[int] = ..., sha256: _Optional[str] = ..., audio_seconds: _Optional[float] = ...) -> None: ...

class EditJobItem(_message.Message):
    __slots__ = ("index", "spec", "state", "revision", "step", "progress", "attempts", "start_time", "end_time", "retry_time", "error", "reports", "result")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    SPEC_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    ATTEMPTS_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    RETRY_TIME_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    index: int
    spec: EditJobItemSpec
    state: EditJobState
    revision: int
    step: int
    progress: _speech_pb2.EditProgress
    attempts: int
    start_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    retry_time: _timestamp_pb2.Timestamp
    error: EditJobError
    reports: _containers.RepeatedCompositeFieldContainer[_edits_pb2.EditReport]
    result: EditResult
    def __init__(self, index: _Optional[int] = ..., spec: _Optional[_Union[EditJobItemSpec, _Mapping]] = ..., state: _Optional[_Union[EditJobState, str]] = ..., revision: _Optional[int] = ..., step: _Optional[int] = ..., progress: _Optional[_Union[_speech_pb2.EditProgress, _Mapping]] = ..., attempts: _Optional[int] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., retry_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., error: _Optional[_Union[EditJobError, _Mapping]] = ..., reports: _Optional[_Iterable[_Union[_edits_pb2.EditReport, _Mapping]]] = ..., result: _Optional[_Union[EditResult, _Mapping]] = ...) -> None: ...

class EditJobCounts(_message.Message):
    __slots__ = ("total", "queued", "running", "succeeded", "failed", "cancelled")
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    SUCCEEDED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    def __init__(self, total: _Optional[int] = ..., queued: _Optional[int] = ..., running: _Optional[int] = ..., succeeded: _Optional[int] = ..., failed: _Optional[int] = ..., cancelled: _Optional[int] = ...) -> None: ...

class EditJob(_message.Message):
    __slots__ = ("job_id", "request_id", "caller", "state", "revision", "counts", "fraction", "create_time", "start_time", "update_time", "end_time", "expire_time", "items")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CALLER_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    request_id: str
    caller: str
    state: EditJobState
    revision: int
    counts: EditJobCounts
    fraction: float
    create_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    items: _containers.RepeatedCompositeFieldContainer[EditJobItem]
    def __init__(self, job_id: _Optional[str] = ..., request_id: _Optional[str] = ..., caller: _Optional[str] = ..., state: _Optional[_Union[EditJobState, str]] = ..., revision: _Optional[int] = ..., counts: _Optional[_Union[EditJobCounts, _Mapping]] = ..., fraction: _Optional[float] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., items: _Optional[_Iterable[_Union[EditJobItem, _Mapping]]] = ...) -> None: ...

class CreateEditJobRequest(_message.Message):
    __slots__ = ("request_id", "items", "ttl")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    items: _containers.RepeatedCompositeFieldContainer[EditJobItemSpec]
    ttl: _duration_pb2.Duration
    def __init__(self, request_id: _Optional[str] = ..., items: _Optional[_Iterable[_Union[EditJobItemSpec, _Mapping]]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class CreateEditJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: EditJob
    def __init__(self, job: _Optional[_Union[EditJob, _Mapping]] = ...) -> None: ...

class GetEditJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class GetEditJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: EditJob
    def __init__(self, job: _Optional[_Union[EditJob, _Mapping]] = ...) -> None: ...

class ListEditJobsRequest(_message.Message):
    __slots__ = ("page_size", "page_token", "filter")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    filter: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., filter: _Optional[str] = ...) -> None: ...

class ListEditJobsResponse(_message.Message):
    __slots__ = ("jobs", "next_page_token")
    JOBS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[EditJob]
    next_page_token: str
    def __init__(self, jobs: _Optional[_Iterable[_Union[EditJob, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class CancelEditJobRequest(_message.Message):
    __slots__ = ("job_id",)
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    def __init__(self, job_id: _Optional[str] = ...) -> None: ...

class CancelEditJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: EditJob
    def __init__(self, job: _Optional[_Union[EditJob, _Mapping]] = ...) -> None: ...

class DeleteEditJobRequest(_message.Message):
    __slots__ = ("job_id", "allow_missing")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    ALLOW_MISSING_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    allow_missing: bool
    def __init__(self, job_id: _Optional[str] = ..., allow_missing: _Optional[bool] = ...) -> None: ...

class DeleteEditJobResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchEditJobRequest(_message.Message):
    __slots__ = ("job_id", "revision")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    revision: int
    def __init__(self, job_id: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class WatchEditJobResponse(_message.Message):
    __slots__ = ("job",)
    JOB_FIELD_NUMBER: _ClassVar[int]
    job: EditJob
    def __init__(self, job: _Optional[_Union[EditJob, _Mapping]] = ...) -> None: ...

class DownloadEditResultRequest(_message.Message):
    __slots__ = ("job_id", "index", "offset")
    JOB_ID_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    job_id: str
    index: int
    offset: int
    def __init__(self, job_id: _Optional[str] = ..., index: _Optional[int] = ..., offset: _Optional[int] = ...) -> None: ...

class DownloadEditResultResponse(_message.Message):
    __slots__ = ("result", "audio")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    result: EditResult
    audio: _audio_pb2.AudioChunk
    def __init__(self, result: _Optional[_Union[EditResult, _Mapping]] = ..., audio: _Optional[_Union[_audio_pb2.AudioChunk, _Mapping]] = ...) -> None: ...
