from uniaudio.v1 import audio_pb2 as _audio_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PosteriorMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    POSTERIOR_MODE_UNSPECIFIED: _ClassVar[PosteriorMode]
    POSTERIOR_MODE_MEAN: _ClassVar[PosteriorMode]
    POSTERIOR_MODE_SAMPLE: _ClassVar[PosteriorMode]
POSTERIOR_MODE_UNSPECIFIED: PosteriorMode
POSTERIOR_MODE_MEAN: PosteriorMode
POSTERIOR_MODE_SAMPLE: PosteriorMode

class EncodeOptions(_message.Message):
    __slots__ = ("posterior", "seed")
    POSTERIOR_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    posterior: PosteriorMode
    seed: int
    def __init__(self, posterior: _Optional[_Union[PosteriorMode, str]] = ..., seed: _Optional[int] = ...) -> None: ...

class GetTokenizerRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetTokenizerResponse(_message.Message):
    __slots__ = ("sample_rate", "hop_length", "latent_dim", "model", "alphabet")
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    HOP_LENGTH_FIELD_NUMBER: _ClassVar[int]
    LATENT_DIM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ALPHABET_FIELD_NUMBER: _ClassVar[int]
    sample_rate: int
    hop_length: int
    latent_dim: int
    model: _audio_pb2.ModelInfo
    alphabet: str
    def __init__(self, sample_rate: _Optional[int] = ..., hop_length: _Optional[int] = ..., latent_dim: _Optional[int] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ..., alphabet: _Optional[str] = ...) -> None: ...

class EncodeRequest(_message.Message):
    __slots__ = ("request_id", "waveform", "options")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WAVEFORM_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    waveform: bytes
    options: EncodeOptions
    def __init__(self, request_id: _Optional[str] = ..., waveform: _Optional[bytes] = ..., options: _Optional[_Union[EncodeOptions, _Mapping]] = ...) -> None: ...

class EncodeResponse(_message.Message):
    __slots__ = ("latents", "num_frames", "latent_dim", "model")
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    NUM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    LATENT_DIM_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    latents: bytes
    num_frames: int
    latent_dim: int
    model: _audio_pb2.ModelInfo
    def __init__(self, latents: _Optional[bytes] = ..., num_frames: _Optional[int] = ..., latent_dim: _Optional[int] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ...) -> None: ...

class DecodeRequest(_message.Message):
    __slots__ = ("request_id", "latents")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    latents: bytes
    def __init__(self, request_id: _Optional[str] = ..., latents: _Optional[bytes] = ...) -> None: ...

class DecodeResponse(_message.Message):
    __slots__ = ("waveform", "sample_rate", "model")
    WAVEFORM_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    waveform: bytes
    sample_rate: int
    model: _audio_pb2.ModelInfo
    def __init__(self, waveform: _Optional[bytes] = ..., sample_rate: _Optional[int] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ...) -> None: ...

class StreamEncodeRequest(_message.Message):
    __slots__ = ("request_id", "waveform", "options", "last")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    WAVEFORM_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    waveform: bytes
    options: EncodeOptions
    last: bool
    def __init__(self, request_id: _Optional[str] = ..., waveform: _Optional[bytes] = ..., options: _Optional[_Union[EncodeOptions, _Mapping]] = ..., last: _Optional[bool] = ...) -> None: ...

class StreamEncodeResponse(_message.Message):
    __slots__ = ("latents", "num_frames", "last")
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    NUM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    latents: bytes
    num_frames: int
    last: bool
    def __init__(self, latents: _Optional[bytes] = ..., num_frames: _Optional[int] = ..., last: _Optional[bool] = ...) -> None: ...

class StreamDecodeRequest(_message.Message):
    __slots__ = ("request_id", "latents", "last")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    latents: bytes
    last: bool
    def __init__(self, request_id: _Optional[str] = ..., latents: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class StreamDecodeResponse(_message.Message):
    __slots__ = ("waveform", "last")
    WAVEFORM_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    waveform: bytes
    last: bool
    def __init__(self, waveform: _Optional[bytes] = ..., last: _Optional[bool] = ...) -> None: ...

class SpellRequest(_message.Message):
    __slots__ = ("request_id", "latents")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LATENTS_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    latents: bytes
    def __init__(self, request_id: _Optional[str] = ..., latents: _Optional[bytes] = ...) -> None: ...

class SpellResponse(_message.Message):
    __slots__ = ("log_probabilities", "num_frames", "alphabet", "model")
    LOG_PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    NUM_FRAMES_FIELD_NUMBER: _ClassVar[int]
    ALPHABET_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    log_probabilities: bytes
    num_frames: int
    alphabet: str
    model: _audio_pb2.ModelInfo
    def __init__(self, log_probabilities: _Optional[bytes] = ..., num_frames: _Optional[int] = ..., alphabet: _Optional[str] = ..., model: _Optional[_Union[_audio_pb2.ModelInfo, _Mapping]] = ...) -> None: ...
