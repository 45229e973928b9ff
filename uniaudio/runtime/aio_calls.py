"""A repair for streaming calls of grpc.aio."""

from __future__ import annotations

from typing import Any


class _StatusKeeper:
    """Stands before a call's core object and ignores the status that a failed write makes up."""

    def __init__(self, core_call: Any) -> None:
        self._core_call = core_call

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core_call, name)

    def set_internal_error(self, text: str) -> None:
        """The server's own status is on its way; `text` would hide it."""


def keep_status(call: Any) -> None:
    """Makes a fresh grpc.aio call that writes report the server's status in every case.

    A write to a stream that the server has just ended makes grpc.aio overwrite the server's status, details
    and all, with INTERNAL "Internal error from Core": half of all refusals of a busy stream. There is no
    public way to prevent it, so this reaches for the call's core object; where a later grpcio keeps it
    elsewhere, nothing is changed.
    """
    core_call = getattr(call, "_cython_call", None)
    if core_call is not None:
        call._cython_call = _StatusKeeper(core_call)
