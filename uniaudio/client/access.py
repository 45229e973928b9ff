"""How a client is let in: the token that its calls carry, and what its connections are secured with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from uniaudio.runtime.telemetry import CallSpan

Token = str | Callable[[], str]
"""A token, or what gives the one of the moment; "" sends none."""


@dataclass(frozen=True)
class Access:
    """A client's token and credentials."""

    token: Token = field(default="", repr=False)
    credentials: grpc.ChannelCredentials | None = None
    server_name: str = ""

    @property
    def options(self) -> list[tuple[str, str]]:
        """Channel arguments that go with the credentials."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []

    def metadata(self, span: CallSpan) -> tuple[tuple[str, str], ...]:
        """What a call carries: its trace, and its token."""
        token = self.token if isinstance(self.token, str) else self.token()
        return (*span.metadata, ("authorization", f"Bearer {token}")) if token else tuple(span.metadata)
