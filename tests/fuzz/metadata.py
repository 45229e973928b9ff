"""Odd metadata of a call: headers that services read, and others, with values of any kind that gRPC lets through."""

from __future__ import annotations

import random

_READ = ("x-request-id", "authorization", "traceparent", "tracestate", "baggage", "application", "user-agent")
_STARTS = ("", "Bearer ", "00-", "00-" + 32 * "0" + "-" + 16 * "f" + "-01", "Basic ", "bearer", "key=")
_OTHERS = "abcdefghijklmnopqrstuvwxyz0123456789-_."


def odd_metadata(rng: random.Random) -> tuple[tuple[str, str | bytes], ...]:
    """None for half of all calls, else up to six headers, together below the 8 KiB that gRPC takes."""
    num = rng.choice((0, 0, 0, 1, 2, 6))
    return tuple(_header(rng) for _ in range(num))


def _header(rng: random.Random) -> tuple[str, str | bytes]:
    name = rng.choice(_READ) if rng.random() < 0.8 else "x-" + _text(rng, _OTHERS, 40)
    if rng.random() < 0.1:
        return f"{name}-bin", rng.randbytes(rng.randrange(200))
    printable = "".join(map(chr, range(0x20, 0x7F)))
    return name, (rng.choice(_STARTS) + _text(rng, printable, 1000)).strip()


def _text(rng: random.Random, letters: str, longest: int) -> str:
    return "".join(rng.choices(letters, k=rng.randint(0, longest)))
