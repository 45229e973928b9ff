"""How a client is let in: the token that its calls carry, and what its connections are secured with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import grpc

from uniaudio.runtime.calls import REQUEST_ID_KEY
from uniaudio.runtime.telemetry import CallSpan

Token = str | Callable[[], str]
"""A token, or what gives the one of the moment; "" sends none."""
RequestId = Callable[[], str]
"""Gives the id under which the calls of the moment are logged and traced; "" lets the server make one."""


@dataclass(frozen=True)
class Access:
    """A client's token and credentials, and who asks through it."""

    token: Token = field(default="", repr=False)
    credentials: grpc.ChannelCredentials | None = None
    server_name: str = ""
    request_id: RequestId = str

    @property
    def options(self) -> list[tuple[str, str]]:
        """Channel arguments that go with the credentials."""
        return [("grpc.ssl_target_name_override", self.server_name)] if self.server_name else []

    def metadata(self, span: CallSpan) -> tuple[tuple[str, str], ...]:
        """What a call carries: its trace, its token, its id."""
        token = self.token if isinstance(self.token, str) else self.token()
        request_id = self.request_id()
        return (
            *span.metadata,
            *([("authorization", f"Bearer {token}")] if token else []),
            *([(REQUEST_ID_KEY, request_id)] if request_id else []),
        )
