"""Static tokens: a file of SHA-256 hashes with names, roles, limits and expiry.

A token is `ua_ID_SECRET`. Its secret has 256 random bits, so a plain hash cannot be searched backwards and
needs no salt; the ID finds the record, and hashes are compared in constant time.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from uniaudio.errors import InvalidInputError, StartupError, UnauthenticatedError
from uniaudio.runtime.guard.callers import Caller
from uniaudio.runtime.guard.limits import read_limits
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.logging import get_logger
from uniaudio.whole_file import write_whole

log = get_logger(__name__)

TOKEN_PREFIX = "ua_"
_MAX_FILE_BYTES = 16 << 20
_TOKEN = re.compile(r"ua_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class TokenRecord:
    """One token as the file keeps it: everything but the token itself."""

    id: str
    name: str
    roles: tuple[Role, ...]
    sha256: str
    created: str
    expires: str
    """Time in ISO 8601 with its zone; empty for never."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """The caller's own, as they are written: by name, in requests or seconds of audio."""

    def is_expired(self, now: datetime) -> bool:
        """Whether it no longer counts."""
        return bool(self.expires) and datetime.fromisoformat(self.expires) <= now


def read_tokens(path: Path) -> dict[str, TokenRecord]:
    """Records by their ids. Raises StartupError for a file that is not there or not one of ours."""
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise ValueError(f"it has {path.stat().st_size} bytes, at most {_MAX_FILE_BYTES} are read")
        records = [_record(entry) for entry in json.loads(path.read_bytes())["tokens"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StartupError(
            f"the token file {path} cannot be read: {error!r}; make one with `uniaudio tokens create`",
            reason="TOKEN_FILE",
            path=path,
        ) from error
    return {record.id: record for record in records}


def create_token(
    path: Path,
    name: str,
    roles: tuple[Role, ...],
    *,
    days: float | None = None,
    limits: Mapping[str, int] | None = None,
) -> tuple[str, TokenRecord]:
    """A new token, added to the file (made where there is none). It is shown here and kept nowhere.

    Raises InvalidInputError for a name that is none (1 to 64 letters, digits and ". _ @ -"), or such limits.
    """
    _check_limits(limits or {})
    if _NAME.fullmatch(name) is None:
        raise InvalidInputError(
            f"{name!r} is no caller's name; use 1 to 64 letters, digits and . _ @ -",
            value=name[:64],
            limit="1 to 64 letters, digits and . _ @ -",
            remedy="choose another name",
        )
    now = datetime.now(UTC).replace(microsecond=0)
    token_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = f"{TOKEN_PREFIX}{token_id}_{secret}"
    record = TokenRecord(
        id=token_id,
        name=name,
        roles=tuple(sorted(set(roles))),
        sha256=_hash(token),
        created=now.isoformat(),
        limits=dict(limits or {}),
        expires=""
        if days is None
        else datetime.fromtimestamp(now.timestamp() + days * 86_400, UTC).isoformat(),
    )
    with _changing(path) as records:
        records[token_id] = record
    return token, record


def _check_limits(limits: Mapping[str, int]) -> None:
    try:
        read_limits(limits)
    except ValueError as error:
        raise InvalidInputError(
            f"{error}; change it", value=dict(limits), limit="limits that there are", remedy="change it"
        ) from error


def revoke_token(path: Path, token_id: str) -> TokenRecord:
    """Takes a token out of the file; servers notice within a second. Raises InvalidInputError for an unknown id."""
    with _changing(path) as records:
        if token_id not in records:
            raise InvalidInputError(
                f"{path} has no token {token_id!r}; `uniaudio tokens list` shows the ids",
                value=token_id,
                limit="the id of a token in the file",
                remedy="see `uniaudio tokens list`",
            )
        return records.pop(token_id)


class TokenFile:
    """Callers by their tokens; follows changes of the file.

    A changed file that cannot be read leaves the tokens as they were, and the log says so.
    """

    def __init__(self, path: Path, *, check_seconds: float = 1.0) -> None:
        self._path = path
        self._check_seconds = check_seconds
        self._seen = _mark(path)
        self._records: Mapping[str, TokenRecord] = read_tokens(path)
        self._checked_at = time.monotonic()

    async def authenticate(self, token: str) -> Caller:
        """The token's caller. Raises UnauthenticatedError, the same for an unknown and a wrong token."""
        self._follow()
        parts = _TOKEN.fullmatch(token)
        record = self._records.get(parts.group(1)) if parts else None
        known = record.sha256 if record else "0" * 64
        if not hmac.compare_digest(known, _hash(token)) or record is None:
            raise refusal("the token is not known")
        if record.is_expired(datetime.now(UTC)):
            raise refusal(f"the token {record.id} expired at {record.expires}")
        return Caller(name=record.name, roles=frozenset(record.roles), limits=read_limits(record.limits))

    def _follow(self) -> None:
        now = time.monotonic()
        if now - self._checked_at < self._check_seconds:
            return
        self._checked_at = now
        mark = _mark(self._path)
        if mark == self._seen:
            return
        self._seen = mark
        try:
            self._records = read_tokens(self._path)
        except StartupError as error:
            log.error("tokens stay as they were", error=error.message)
        else:
            log.info("tokens read again", num_tokens=len(self._records))


def refusal(why: str) -> UnauthenticatedError:
    """The error for a caller whom nobody knows."""
    return UnauthenticatedError(
        f"{why}; send `authorization: Bearer TOKEN` with a valid one (UNIAUDIO_TOKEN, --token-file)",
        value=why,
        limit="a valid token",
        remedy="send a valid token",
    )


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _mark(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file does; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _record(entry: Mapping[str, Any]) -> TokenRecord:
    record = TokenRecord(**{**entry, "roles": tuple(Role(role) for role in entry["roles"])})
    read_limits(record.limits)  # raises where they are none
    if _NAME.fullmatch(record.name) is None:
        raise ValueError(f"the name of {record.id} is none")
    if len(record.sha256) != 64 or (record.expires and datetime.fromisoformat(record.expires).tzinfo is None):
        raise ValueError(f"the record of {record.id} is damaged")
    return record


@contextmanager
def _changing(path: Path) -> Iterator[dict[str, TokenRecord]]:
    """The records, written back at the end; readable by the file's owner alone, one writer at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = read_tokens(path) if path.exists() else {}
        yield records
        entries = [asdict(record) for record in records.values()]
        write_whole(path, json.dumps({"tokens": entries}, indent=2) + "\n")
        path.chmod(0o600)
