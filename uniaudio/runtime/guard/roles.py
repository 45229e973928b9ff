"""Which role each method asks for. A method without a row is refused, so that a new one is never open by mistake."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from uniaudio.errors import PermissionDeniedError


class Role(StrEnum):
    """What a caller may be allowed; ADMIN may everything."""

    ADMIN = "admin"
    SPEECH = "speech"
    JOBS = "jobs"
    VOICES = "voices"


class Access(StrEnum):
    """What a method asks for where it is no role."""

    PUBLIC = "public"
    """Nothing, not even a token: probes of the machinery."""
    KNOWN = "known"
    """A valid token, whatever its roles."""


_SERVICES: Mapping[str, Mapping[str, Role | Access]] = {
    "uniaudio.v1.SpeechService": {
        "GetInfo": Access.KNOWN,
        "Transcribe": Role.SPEECH,
        "TranscribeProgressively": Role.SPEECH,
        "StreamTranscribe": Role.SPEECH,
        "Synthesize": Role.SPEECH,
        "Edit": Role.SPEECH,
    },
    "uniaudio.v1.EditJobService": {
        "UploadRecording": Role.JOBS,
        "CreateEditJob": Role.JOBS,
        "GetEditJob": Role.JOBS,
        "ListEditJobs": Role.JOBS,
        "CancelEditJob": Role.JOBS,
        "DeleteEditJob": Role.JOBS,
        "WatchEditJob": Role.JOBS,
        "DownloadEditResult": Role.JOBS,
    },
    "uniaudio.v1.TokenizerService": {
        "GetTokenizer": Access.KNOWN,
        "Encode": Role.SPEECH,
        "Decode": Role.SPEECH,
        "StreamEncode": Role.SPEECH,
        "StreamDecode": Role.SPEECH,
        "Spell": Role.SPEECH,
    },
    "uniaudio.v1.ProvenanceService": {"Verify": Role.SPEECH, "GetKeys": Access.KNOWN},
    "uniaudio.v1.VoiceService": {
        "CreateVoice": Role.VOICES,
        "GetVoice": Role.VOICES,
        "ListVoices": Role.VOICES,
        "RevokeVoice": Role.VOICES,
        "DeleteVoice": Role.VOICES,
        "ExportVoice": Role.VOICES,
    },
    "grpc.health.v1.Health": {"Check": Access.PUBLIC, "Watch": Access.PUBLIC, "List": Access.PUBLIC},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": Access.KNOWN},
}

METHODS: Mapping[str, Role | Access] = MappingProxyType(
    {
        f"/{service}/{method}": asked
        for service, methods in _SERVICES.items()
        for method, asked in methods.items()
    }
)
"""Full method name, as on the wire, to what it asks for."""


def is_public(method: str) -> bool:
    """Whether `method` may be called without a token."""
    return METHODS.get(method) is Access.PUBLIC


def check_role(method: str, name: str, roles: frozenset[Role]) -> None:
    """Raises PermissionDeniedError unless these roles may call `method`."""
    asked = METHODS.get(method)
    if isinstance(asked, Access) or (asked is not None and not roles.isdisjoint((asked, Role.ADMIN))):
        return
    needed = "a method that this service has" if asked is None else f"the role {asked}"
    raise PermissionDeniedError(
        f"{name} may not call {method}; needed is {needed}: use a token that has it",
        value=", ".join(sorted(roles)) or "no role",
        limit=needed,
        remedy="use a token with the role, or ask who gives them out",
        method=method,
    )
