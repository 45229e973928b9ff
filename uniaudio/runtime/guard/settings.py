"""How the guard of a process is set up: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from uniaudio.runtime.settings import setting


@dataclass(frozen=True, kw_only=True)
class GuardSettings:
    """Who is known, how much each may use, and where the record of it goes."""

    token_file: Path | None = setting(
        "UNIAUDIO_KNOWN_TOKENS", None, "File of static tokens (`uniaudio tokens create`); empty takes none."
    )
    oidc_issuer: str = setting("UNIAUDIO_OIDC_ISSUER", "", "Issuer of OIDC tokens; empty takes none.")
    oidc_audience: str = setting("UNIAUDIO_OIDC_AUDIENCE", "", "Audience that OIDC tokens must name.")
    oidc_jwks_url: str = setting(
        "UNIAUDIO_OIDC_JWKS_URL", "", "https:// address of the issuer's public keys."
    )
    oidc_roles_claim: str = setting(
        "UNIAUDIO_OIDC_ROLES_CLAIM", "roles", "Claim that names a caller's roles."
    )
    oidc_limits_claim: str = setting(
        "UNIAUDIO_OIDC_LIMITS_CLAIM",
        "limits",
        'Claim with a caller\'s own limits, e.g. {"requests_per_minute": 600}.',
    )
    oidc_leeway_seconds: float = setting(
        "UNIAUDIO_OIDC_LEEWAY_SECONDS", 30.0, "How far clocks may differ.", minimum=0, maximum=300
    )
    allow_anonymous: bool = setting(
        "UNIAUDIO_ALLOW_ANONYMOUS",
        False,
        "Serve callers without authentication on an address that is not loopback.",
    )
    requests_per_minute: int = setting(
        "UNIAUDIO_QUOTA_REQUESTS_PER_MINUTE",
        0,
        "Calls of one caller a minute, where its token has no limit of its own; 0 counts none.",
        minimum=0,
    )
    audio_seconds_per_hour: int = setting(
        "UNIAUDIO_QUOTA_AUDIO_SECONDS_PER_HOUR",
        0,
        "Seconds of audio that one caller may have read or made an hour, in the same way; 0 counts none.",
        minimum=0,
    )
    audio_seconds_per_day: int = setting(
        "UNIAUDIO_QUOTA_AUDIO_SECONDS_PER_DAY", 0, "The same a day; 0 counts none.", minimum=0
    )
    quota_store: str = setting(
        "UNIAUDIO_QUOTA_STORE",
        "memory",
        "Where use is counted: memory (this process), sqlite:PATH (this machine), redis:// or rediss:// (all).",
    )
    quota_on_outage: str = setting(
        "UNIAUDIO_QUOTA_ON_OUTAGE",
        "refuse",
        "What happens to calls while use cannot be counted.",
        choices=("refuse", "allow"),
    )
    audit_log: Path | None = setting(
        "UNIAUDIO_AUDIT_LOG", None, "File of the audit log, of this process alone; empty keeps none."
    )
    audit_max_bytes: int = setting(
        "UNIAUDIO_AUDIT_MAX_BYTES",
        64 << 20,
        "Size at which the audit log begins a new file.",
        minimum=1 << 16,
    )
