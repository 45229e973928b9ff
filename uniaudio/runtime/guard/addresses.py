"""Addresses that only this machine can reach, and those that others can."""

from __future__ import annotations

import ipaddress

from uniaudio.errors import StartupError


def require_loopback(
    host: str, *, allow_anonymous: bool, remedy: str = "UNIAUDIO_TLS_CLIENT_CA_FILE (mutual TLS)"
) -> None:
    """Raises StartupError where callers nobody asks for their names could come from elsewhere, and nobody said so."""
    if allow_anonymous or is_loopback(host):
        return
    raise StartupError(
        f"{host} can be reached from other machines, and nobody would be asked who calls; set {remedy}, listen on "
        "127.0.0.1, or set UNIAUDIO_ALLOW_ANONYMOUS=true where something else keeps strangers out",
        reason="NO_AUTHENTICATION",
        value=host,
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # a name: it may be anything
