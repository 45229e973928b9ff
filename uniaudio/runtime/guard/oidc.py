"""OIDC tokens: JWTs signed by an identity provider, verified by PyJWT with the provider's published keys."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

import jwt

from uniaudio.errors import StartupError, UnavailableError
from uniaudio.runtime.guard.callers import Caller
from uniaudio.runtime.guard.limits import read_limits
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.guard.token_file import refusal
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Asymmetric ones alone: a secret shared with the provider could sign as well as verify."""
_MAX_TOKEN_CHARACTERS = 16 << 10
_MAX_KEY_SET_BYTES = 256 << 10
_MAX_KEYS = 64
_MAX_SUBJECT_CHARACTERS = 128

Fetch = Callable[[], bytes]


@dataclass(frozen=True, kw_only=True)
class OidcConfig:
    """Whom to believe, and how tokens name their caller's roles and limits."""

    issuer: str
    audience: str
    jwks_url: str
    roles_claim: str = "roles"
    limits_claim: str = "limits"
    leeway_seconds: float = 30.0
    refresh_seconds: float = 300.0
    """Keys are fetched again after so long, beside the calls."""
    retry_seconds: float = 10.0
    """Shortest time between two fetches, however many tokens name an unknown key."""
    fetch_timeout_seconds: float = 5.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.jwks_url)
        on_loopback = parts.hostname in ("127.0.0.1", "localhost", "::1")
        if not (parts.scheme == "https" or (parts.scheme == "http" and on_loopback)):
            raise StartupError(
                f"the address of the keys is {self.jwks_url!r}; it must begin with https:// "
                "(http:// on loopback alone)",
                reason="INVALID_SETTING",
                variable="UNIAUDIO_OIDC_JWKS_URL",
            )
        if not self.issuer or not self.audience:
            raise StartupError(
                "OIDC needs an issuer and an audience; set UNIAUDIO_OIDC_ISSUER and UNIAUDIO_OIDC_AUDIENCE",
                reason="MISSING_SETTING",
            )


class KeySet:
    """The provider's public keys by id, fetched when needed; those that are known go on while it is away."""

    def __init__(self, config: OidcConfig, fetch: Fetch | None = None) -> None:
        self._config = config
        self._fetch = fetch or (lambda: _download(config))
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._tried_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._refreshing: asyncio.Task[None] | None = None

    async def key(self, key_id: str) -> jwt.PyJWK:
        """The key of that id. UnauthenticatedError where the provider has none, UnavailableError without any key."""
        if key_id not in self._keys:
            await self._refresh()
        elif (
            time.monotonic() - self._fetched_at >= self._config.refresh_seconds and not self._is_refreshing()
        ):
            self._refreshing = asyncio.create_task(self._refresh())
        if key_id in self._keys:
            return self._keys[key_id]
        if self._keys:
            raise refusal("the token's key is not one of its issuer's")
        raise UnavailableError(
            f"the keys of {self._config.issuer} could not be fetched, so no token of it can be verified; "
            "try again in some seconds",
            reason="OIDC_KEYS_AWAY",
            value="no keys",
            limit="the issuer's keys",
            remedy="try again in some seconds",
        )

    def _is_refreshing(self) -> bool:
        return self._refreshing is not None and not self._refreshing.done()

    async def _refresh(self) -> None:
        """Fetches the keys, one fetch at a time and not too often; a failure keeps those that are there."""
        async with self._fetching:
            if time.monotonic() - self._tried_at < self._config.retry_seconds:
                return
            self._tried_at = time.monotonic()
            try:
                async with asyncio.timeout(2 * self._config.fetch_timeout_seconds):
                    content = await asyncio.to_thread(self._fetch)
                self._keys = _parse(content)
            except (OSError, HTTPException, ValueError) as error:  # TimeoutError is an OSError
                kept = len(self._keys)
                log.warning("no new keys", issuer=self._config.issuer, kept=kept, cause=repr(error))
            else:
                self._fetched_at = time.monotonic()


class OidcTokens:
    """Callers by their JWTs. A caller's name is "oidc/" and the token's subject."""

    def __init__(self, config: OidcConfig, fetch: Fetch | None = None) -> None:
        self._config = config
        self._keys = KeySet(config, fetch)

    async def authenticate(self, token: str) -> Caller:
        """The token's caller. Raises UnauthenticatedError, or UnavailableError while no key could be fetched."""
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise refusal(f"the token has {len(token)} characters, at most {_MAX_TOKEN_CHARACTERS} are read")
        try:
            header = jwt.get_unverified_header(token)
            key_id, algorithm = header.get("kid"), header.get("alg")
            if not isinstance(key_id, str) or algorithm not in ALGORITHMS:
                raise refusal("the token names no key, or an algorithm that is not taken")
            claims = self._verified(token, await self._keys.key(key_id))
        except jwt.PyJWTError as error:
            raise refusal(f"the token is not valid: {_why(error)}") from error
        return self._caller(claims)

    def _verified(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            issuer=self._config.issuer,
            audience=self._config.audience,
            leeway=self._config.leeway_seconds,
            options={"require": ["exp", "iss", "aud", "sub"]},
        )
        return claims

    def _caller(self, claims: Mapping[str, Any]) -> Caller:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= _MAX_SUBJECT_CHARACTERS:
            raise refusal(f"the token's subject is not a text of 1 to {_MAX_SUBJECT_CHARACTERS} characters")
        if not subject.isprintable():
            raise refusal("the token's subject is not printable")
        try:
            limits = read_limits(claims.get(self._config.limits_claim, {}))
        except ValueError as error:
            raise refusal(
                f"the token's claim {self._config.limits_claim} is not understood: {error}"
            ) from error
        roles = _roles(claims.get(self._config.roles_claim))
        return Caller(name=f"oidc/{subject}", roles=roles, limits=limits)


def _roles(claim: object) -> frozenset[Role]:
    """The roles that a claim names, as a list or a text with spaces; what is no role of ours is left out."""
    names: Iterable[object] = (
        claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else ()
    )
    return frozenset(Role(name) for name in names if isinstance(name, str) and name in set(Role))


def _why(error: jwt.PyJWTError) -> str:
    return str(error) or type(error).__name__


def _parse(content: bytes) -> Mapping[str, jwt.PyJWK]:
    """The keys that can verify a token. Raises ValueError for content that is no set of them."""
    try:
        entries = json.loads(content)["keys"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is no key set: {error!r}") from error
    if not isinstance(entries, list) or len(entries) > _MAX_KEYS:
        raise ValueError(f"the key set is no list of at most {_MAX_KEYS} keys")
    keys = {}
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            continue
        try:
            key = jwt.PyJWK(entry)
        except jwt.PyJWTError as error:
            log.warning("a key is left out", key_id=str(entry.get("kid")), cause=repr(error))
            continue
        if key.key_id:
            keys[key.key_id] = key
    if not keys:
        raise ValueError("the key set has no key that can verify a token")
    return keys


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The address of the keys is what the operator wrote, and nothing that an answer says."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _download(config: OidcConfig) -> bytes:
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(config.jwks_url, timeout=config.fetch_timeout_seconds) as answer:
        content: bytes = answer.read(_MAX_KEY_SET_BYTES + 1)
    if len(content) > _MAX_KEY_SET_BYTES:
        raise ValueError(f"the key set has more than {_MAX_KEY_SET_BYTES} bytes")
    return content
