"""Who calls: known to everything that a call runs, by one small function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from uniaudio.runtime.guard.roles import Role


@dataclass(frozen=True, kw_only=True)
class Caller:
    """A caller by its name, which quotas, jobs and the audit log go by, and what it may do.

    `limits` are its own, by the names of quotas and in their units; the others are everybody's.
    """

    name: str
    roles: frozenset[Role]
    limits: Mapping[str, int] = field(default_factory=dict)


ANONYMOUS = Caller(name="anonymous", roles=frozenset({Role.ADMIN}))
"""Everybody, where no authentication is set up."""
UNKNOWN = Caller(name="unknown", roles=frozenset())
"""Somebody who was refused before a name was known."""

_caller: ContextVar[Caller] = ContextVar("uniaudio_caller", default=ANONYMOUS)


def current_caller() -> Caller:
    """Who makes the running call; ANONYMOUS outside any, or where no authentication is set up."""
    return _caller.get()


def adopt_caller(caller: Caller) -> None:
    """Makes `caller` the one of this task and of the tasks that it starts from now on."""
    _caller.set(caller)


@contextmanager
def acting_for(caller: Caller) -> Iterator[None]:
    """Inside, work is done for `caller`: what a worker does for the one who left it a job."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)
