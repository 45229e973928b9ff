"""The guard of a server: each call's token, role and quota before it begins, its record when it has ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import grpc

from uniaudio.runtime.calls import Call
from uniaudio.runtime.guard.audit_log import AuditLog
from uniaudio.runtime.guard.callers import ANONYMOUS, UNKNOWN, Caller, adopt_caller, current_caller
from uniaudio.runtime.guard.meter import AUDIO_UNIT, REQUEST_UNIT, AudioMeter, current_meter, start_meter
from uniaudio.runtime.guard.quota import Quotas
from uniaudio.runtime.guard.roles import check_role, is_public
from uniaudio.runtime.guard.token_file import TOKEN_PREFIX, refusal
from uniaudio.runtime.logging import get_logger

log = get_logger(__name__)

_TOKEN_KEY = "authorization"
_SCHEME = "bearer"
# Their cause lies with us, so what was taken of a quota is given back.
_FAULTS = frozenset({grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN})
_REFUSALS_A_SECOND = 10
_SYNC_SECONDS = 1.0


class Authenticator(Protocol):
    """Knows callers by their tokens."""

    async def authenticate(self, token: str) -> Caller:
        """The token's caller; raises UnauthenticatedError, or UnavailableError where that cannot be told now."""


class TokenKinds:
    """Static tokens by one authenticator, everything else by the other."""

    def __init__(self, static: Authenticator | None, others: Authenticator | None) -> None:
        self._static = static
        self._others = others

    async def authenticate(self, token: str) -> Caller:
        """The token's caller. Raises as the authenticator of its kind."""
        kind = self._static if token.startswith(TOKEN_PREFIX) else self._others
        if kind is None:
            raise refusal("tokens of this kind are not taken here")
        return await kind.authenticate(token)


class Guard(grpc.aio.ServerInterceptor):
    """Give it to a Server: `Server(services, config, interceptors=[guard], on_end=guard.end)`.

    A refused call is ended before any of its messages is read. Without an authenticator everybody is
    ANONYMOUS, and quotas are everybody's together.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator | None = None,
        quotas: Quotas | None = None,
        audit: AuditLog | None = None,
    ) -> None:
        self._authenticator = authenticator
        self._quotas = quotas
        self._audit = audit
        self._refusals = _Ration(_REFUSALS_A_SECOND)
        self._syncing: asyncio.Task[None] | None = None

    @property
    def is_authenticating(self) -> bool:
        """Whether callers are asked for their names."""
        return self._authenticator is not None

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """The handler, or one that refuses. Runs in the call's own task, so the caller is known to all of it."""
        try:
            await self._admit(handler_call_details.method, handler_call_details.invocation_metadata or ())
        except Exception as error:  # noqa: BLE001 - whatever happens here, nobody gets in; logged by the call
            return _refusing(error)
        return await continuation(handler_call_details)

    async def end(self, call: Call) -> None:
        """Settles what the call used, and records it."""
        if is_public(call.method):
            return
        meter = current_meter()
        if meter is not None:
            await meter.settle(is_used=call.code not in _FAULTS)
        if self._audit is not None:
            self._record(self._audit, call)

    async def close(self) -> None:
        """Brings the last records to the disk and closes the stores."""
        if self._syncing is not None:
            await self._syncing
        if self._audit is not None:
            await asyncio.to_thread(self._audit.close)
        if self._quotas is not None:
            await self._quotas.close()

    async def _admit(self, method: str, metadata: Sequence[tuple[str, str | bytes]]) -> None:
        start_meter(None)
        adopt_caller(UNKNOWN)
        if is_public(method):
            return
        caller = await self._caller(metadata)
        adopt_caller(caller)
        check_role(method, caller.name, caller.roles)
        if self._audit is not None:
            self._audit.check()
        if self._quotas is not None:
            await self._quotas.take(caller, REQUEST_UNIT, 1)
            if self._quotas.counts(caller, AUDIO_UNIT):
                start_meter(AudioMeter(self._quotas, caller))

    async def _caller(self, metadata: Sequence[tuple[str, str | bytes]]) -> Caller:
        if self._authenticator is None:
            return ANONYMOUS
        values = [value for key, value in metadata if key == _TOKEN_KEY]
        if len(values) != 1 or not isinstance(values[0], str):
            raise refusal(f"the call carries {len(values) or 'no'} token{'s' if len(values) > 1 else ''}")
        scheme, _, token = values[0].partition(" ")
        if scheme.lower() != _SCHEME:
            raise refusal("the call's authorization is no bearer token")
        return await self._authenticator.authenticate(token.strip())

    def _record(self, audit: AuditLog, call: Call) -> None:
        unrecorded = 0
        if call.code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.RESOURCE_EXHAUSTED):
            # Anybody could fill the disk otherwise.
            left_out = self._refusals.take()
            if left_out is None:
                return
            unrecorded = left_out
        record = {
            "kind": "call",
            "caller": current_caller().name,
            "peer": call.peer,
            "method": call.method,
            "outcome": call.code.name,
            "reason": call.reason,
            "request_id": call.request_id,
            "resources": call.resources,
            "seconds": round(time.monotonic() - call.started, 4),
            "bytes_in": call.num_bytes_in,
            "bytes_out": call.num_bytes_out,
            **({"similar_before": unrecorded} if unrecorded else {}),
        }
        try:
            audit.append(record)
        except OSError as error:
            log.error("a call left no record; calls are refused until one can", cause=str(error))
            return
        if self._syncing is None or self._syncing.done():
            self._syncing = asyncio.create_task(self._sync(audit))

    async def _sync(self, audit: AuditLog) -> None:
        await asyncio.sleep(_SYNC_SECONDS)
        try:
            await asyncio.to_thread(audit.sync)
        except OSError as error:
            log.error("the audit log is not on the disk", cause=str(error))


class _Ration:
    """So many a second; those beyond are counted."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._began_at = time.monotonic()
        self._num_taken = 0
        self._num_left_out = 0

    def take(self) -> int | None:
        """How many were left out since the last one that was not; None for one that is left out."""
        now = time.monotonic()
        if now - self._began_at >= 1.0:
            self._began_at, self._num_taken = now, 0
        if self._num_taken >= self._per_second:
            self._num_left_out += 1
            return None
        self._num_taken += 1
        left_out, self._num_left_out = self._num_left_out, 0
        return left_out


def _refusing(error: Exception) -> Any:
    """A handler for any kind of call that raises without reading a message; a stream on both sides is such a one."""

    async def refuse(requests: Any, context: Any) -> None:
        raise error

    return grpc.stream_stream_rpc_method_handler(refuse)
