from uniaudio.v1 import audio_pb2 as _audio_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ManifestVerdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MANIFEST_VERDICT_UNSPECIFIED: _ClassVar[ManifestVerdict]
    MANIFEST_VERDICT_MISSING: _ClassVar[ManifestVerdict]
    MANIFEST_VERDICT_VALID: _ClassVar[ManifestVerdict]
    MANIFEST_VERDICT_AUDIO_DIFFERS: _ClassVar[ManifestVerdict]
    MANIFEST_VERDICT_INVALID: _ClassVar[ManifestVerdict]
    MANIFEST_VERDICT_UNKNOWN_KEY: _ClassVar[ManifestVerdict]
MANIFEST_VERDICT_UNSPECIFIED: ManifestVerdict
MANIFEST_VERDICT_MISSING: ManifestVerdict
MANIFEST_VERDICT_VALID: ManifestVerdict
MANIFEST_VERDICT_AUDIO_DIFFERS: ManifestVerdict
MANIFEST_VERDICT_INVALID: ManifestVerdict
MANIFEST_VERDICT_UNKNOWN_KEY: ManifestVerdict

class Provenance(_message.Message):
    __slots__ = ("watermarked", "watermark_key_id", "generated", "manifest")
    WATERMARKED_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATED_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    watermarked: bool
    watermark_key_id: str
    generated: _containers.RepeatedCompositeFieldContainer[_audio_pb2.TimeRange]
    manifest: str
    def __init__(self, watermarked: _Optional[bool] = ..., watermark_key_id: _Optional[str] = ..., generated: _Optional[_Iterable[_Union[_audio_pb2.TimeRange, _Mapping]]] = ..., manifest: _Optional[str] = ...) -> None: ...

class VerifyRequest(_message.Message):
    __slots__ = ("request_id", "audio", "manifest")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    audio: _audio_pb2.Audio
    manifest: str
    def __init__(self, request_id: _Optional[str] = ..., audio: _Optional[_Union[_audio_pb2.Audio, _Mapping]] = ..., manifest: _Optional[str] = ...) -> None: ...

class WatermarkVerdict(_message.Message):
    __slots__ = ("found", "score", "false_alarm_probability", "key_id", "ranges", "payload")
    FOUND_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    FALSE_ALARM_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    RANGES_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    found: bool
    score: float
    false_alarm_probability: float
    key_id: str
    ranges: _containers.RepeatedCompositeFieldContainer[_audio_pb2.TimeRange]
    payload: int
    def __init__(self, found: _Optional[bool] = ..., score: _Optional[float] = ..., false_alarm_probability: _Optional[float] = ..., key_id: _Optional[str] = ..., ranges: _Optional[_Iterable[_Union[_audio_pb2.TimeRange, _Mapping]]] = ..., payload: _Optional[int] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("request_id", "watermark", "manifest_verdict", "manifest_detail", "signing_key_id", "manifest_json", "generated")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WATERMARK_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_VERDICT_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_DETAIL_FIELD_NUMBER: _ClassVar[int]
    SIGNING_KEY_ID_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_JSON_FIELD_NUMBER: _ClassVar[int]
    GENERATED_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    watermark: WatermarkVerdict
    manifest_verdict: ManifestVerdict
    manifest_detail: str
    signing_key_id: str
    manifest_json: str
    generated: _containers.RepeatedCompositeFieldContainer[_audio_pb2.TimeRange]
    def __init__(self, request_id: _Optional[str] = ..., watermark: _Optional[_Union[WatermarkVerdict, _Mapping]] = ..., manifest_verdict: _Optional[_Union[ManifestVerdict, str]] = ..., manifest_detail: _Optional[str] = ..., signing_key_id: _Optional[str] = ..., manifest_json: _Optional[str] = ..., generated: _Optional[_Iterable[_Union[_audio_pb2.TimeRange, _Mapping]]] = ...) -> None: ...

class GetKeysRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetKeysResponse(_message.Message):
    __slots__ = ("jwks_json",)
    JWKS_JSON_FIELD_NUMBER: _ClassVar[int]
    jwks_json: str
    def __init__(self, jwks_json: _Optional[str] = ...) -> None: ...
