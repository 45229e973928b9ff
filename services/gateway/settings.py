"""Where the gateway runs: the environment, read once."""

from __future__ import annotations

from dataclasses import dataclass

from uniaudio.runtime.logging import LEVELS
from uniaudio.runtime.settings import setting

PROCESS_NAME = "gateway"
"""What logs and traces call this process."""


@dataclass(frozen=True, kw_only=True)
class GatewaySettings:
    """Addresses, bounds and deadlines of the HTTP door."""

    host: str = setting("UNIAUDIO_HOST", "127.0.0.1", "Address to listen on.")
    allow_anonymous: bool = setting(
        "UNIAUDIO_ALLOW_ANONYMOUS",
        False,
        "Listen on an address that is not loopback; whether callers need tokens is the orchestrator's to say.",
    )
    port: int = setting(
        "UNIAUDIO_GATEWAY_PORT", 50081, "Port of the HTTP API; 0 takes a free one.", minimum=0, maximum=65535
    )
    orchestrator_address: str = setting(
        "UNIAUDIO_ORCHESTRATOR_ADDRESS", "127.0.0.1:50051", "host:port of the orchestrator."
    )
    log_level: str = setting("UNIAUDIO_LOG_LEVEL", "info", "Least severe log line.", choices=LEVELS)
    max_body_bytes: int = setting(
        "UNIAUDIO_GATEWAY_MAX_BODY_BYTES",
        66 * 2**20,
        "Largest request body; counted while it is read.",
        minimum=1024,
        maximum=2**31,
    )
    max_held_bytes: int = setting(
        "UNIAUDIO_GATEWAY_MAX_HELD_BYTES",
        256 * 2**20,
        "Most bytes of bodies held at once; further ones are answered 429 with Retry-After.",
        minimum=1024,
        maximum=2**40,
    )
    max_silence_seconds: float = setting(
        "UNIAUDIO_GATEWAY_MAX_SILENCE_SECONDS",
        30.0,
        "Longest pause of a body that is being sent; answered 408.",
        minimum=0.1,
        maximum=3600,
    )
    max_requests: int = setting(
        "UNIAUDIO_GATEWAY_MAX_REQUESTS",
        256,
        "Requests and sockets answered at once, probes not counted; further ones get 429 with Retry-After.",
        minimum=1,
        maximum=100_000,
    )
    traces_url: str = setting(
        "UNIAUDIO_TRACES_URL", "", "Where people look at traces; linked from the studio's page of health."
    )
    max_connections: int = setting(
        "UNIAUDIO_GATEWAY_MAX_CONNECTIONS",
        1024,
        "Connections at once, idle ones counted; further ones are answered 503, probes too.",
        minimum=1,
        maximum=100_000,
    )
    max_request_seconds: float = setting(
        "UNIAUDIO_GATEWAY_MAX_REQUEST_SECONDS",
        600.0,
        "Longest a request may take, and its body may come.",
        minimum=1,
        maximum=86_400,
    )
    grace_seconds: float = setting(
        "UNIAUDIO_GATEWAY_GRACE_SECONDS",
        20.0,
        "How long running requests may finish after SIGTERM.",
        minimum=0,
        maximum=3600,
    )
