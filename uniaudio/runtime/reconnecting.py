"""How fast every gRPC client of ours finds a service again that went, or that is elsewhere now."""

from __future__ import annotations

RECONNECTING: list[tuple[str, int]] = [
    # Within seconds, where gRPC alone waits up to two minutes between tries.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Else a client stays for 30 s at the address of a pod that has gone.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
]
