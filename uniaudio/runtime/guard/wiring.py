"""From settings to a guard: the one place that names its parts."""

from __future__ import annotations

from pathlib import Path

from uniaudio.errors import StartupError
from uniaudio.runtime.guard.addresses import require_loopback
from uniaudio.runtime.guard.audit_log import AuditLog
from uniaudio.runtime.guard.guard import Authenticator, Guard, TokenKinds
from uniaudio.runtime.guard.limits import LIMIT_NAMES, make_quotas
from uniaudio.runtime.guard.oidc import OidcConfig, OidcTokens
from uniaudio.runtime.guard.quota import CounterStore, Quotas
from uniaudio.runtime.guard.quota_redis import RedisCounters
from uniaudio.runtime.guard.quota_sqlite import SqliteCounters
from uniaudio.runtime.guard.settings import GuardSettings
from uniaudio.runtime.guard.token_file import TokenFile


def make_guard(settings: GuardSettings, *, host: str) -> Guard:
    """The guard of a server that listens on `host`.

    Raises StartupError for a token file or audit log that cannot be used, and where nobody would be asked for a
    token on an address that others can reach, unless the settings allow just that.
    """
    authenticator = _authenticator(settings)
    if authenticator is None:
        require_loopback(
            host,
            allow_anonymous=settings.allow_anonymous,
            remedy="UNIAUDIO_KNOWN_TOKENS or UNIAUDIO_OIDC_ISSUER",
        )
    quotas = _quotas(settings)
    audit = AuditLog(settings.audit_log, max_bytes=settings.audit_max_bytes) if settings.audit_log else None
    return Guard(authenticator=authenticator, quotas=quotas, audit=audit)


def _authenticator(settings: GuardSettings) -> Authenticator | None:
    static = TokenFile(settings.token_file) if settings.token_file else None
    others = OidcTokens(_oidc(settings)) if settings.oidc_issuer else None
    return None if static is None and others is None else TokenKinds(static, others)


def _oidc(settings: GuardSettings) -> OidcConfig:
    return OidcConfig(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        jwks_url=settings.oidc_jwks_url,
        roles_claim=settings.oidc_roles_claim,
        limits_claim=settings.oidc_limits_claim,
        leeway_seconds=settings.oidc_leeway_seconds,
    )


def _quotas(settings: GuardSettings) -> Quotas:
    """All of them: a caller may have limits where others have none."""
    quotas = make_quotas({name: getattr(settings, name) for name in LIMIT_NAMES})
    return Quotas(_store(settings.quota_store), quotas, open_on_outage=settings.quota_on_outage == "allow")


def _store(where: str) -> CounterStore:
    if where == "memory":
        return SqliteCounters()
    if where.startswith("sqlite:"):
        return SqliteCounters(Path(where.removeprefix("sqlite:")).expanduser())
    if where.startswith(("redis://", "rediss://")):
        return RedisCounters(where)
    raise StartupError(
        f"UNIAUDIO_QUOTA_STORE={where!r} is no store; use memory, sqlite:PATH, or a redis:// or rediss:// address",
        reason="INVALID_SETTING",
        variable="UNIAUDIO_QUOTA_STORE",
    )
