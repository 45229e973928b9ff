"""The token that commands call with, and where it may travel."""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path

from uniaudio.errors import InvalidInputError

_token_file: ContextVar[Path | None] = ContextVar("uniaudio_token_file", default=None)
_MAX_TOKEN_BYTES = 16 << 10


def remember_token_file(file: Path | None) -> None:
    """Keeps what --token-file named, for the command that follows it."""
    _token_file.set(file)


def find_token() -> str:
    """The token from --token-file or UNIAUDIO_TOKEN_FILE, else from UNIAUDIO_TOKEN, else ""."""
    file = _token_file.get()
    if file is None:
        return os.environ.get("UNIAUDIO_TOKEN", "").strip()
    with file.open("rb") as opened:
        content = opened.read(_MAX_TOKEN_BYTES + 1)
    token = content.decode("ascii", errors="replace").strip()
    if not token.isascii() or not token.isprintable() or not token or len(content) > _MAX_TOKEN_BYTES:
        raise InvalidInputError(
            f"{file} does not hold a token alone; write the line that `uniaudio tokens create` printed into it",
            reason="TOKEN_FILE",
        )
    return token


def check_secret(server: str) -> None:
    """Raises InvalidInputError where the token would travel readable to another machine."""
    from uniaudio.runtime.guard.addresses import is_loopback

    host = server.removeprefix("dns:///").rpartition(":")[0]
    if is_loopback(host) or server.startswith("unix:"):
        return
    raise InvalidInputError(
        f"the token would travel to {server} without encryption; set UNIAUDIO_TLS=true, or UNIAUDIO_TLS_CA_FILE "
        "where the server's authority is one of your own",
        reason="TOKEN_IN_PLAINTEXT",
        value=server,
    )
