"""The filter of a list of jobs: a small part of AIP-160, read into a query.

    state = RUNNING OR state = QUEUED AND create_time >= "2026-01-31T00:00:00Z"

OR binds tighter than AND, as AIP-160 has it; parentheses may say so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from services.orchestrator.jobs.model import JobQuery, State
from uniaudio.errors import InvalidInputError

MAX_FILTER_CHARACTERS = 1_000
_STATE_PREFIX = "EDIT_JOB_STATE_"
_TOKEN = re.compile(r'\s*(?:(<=|>=|!=|=|<|>|\(|\))|"([^"]*)"|([^\s()<>=!"]+))')
_TIMES = {"create_time": "created", "end_time": "ended"}
_GRAMMAR = (
    'restrictions like state = RUNNING or create_time >= "2026-01-31T00:00:00Z" joined by AND, states by OR'
)


@dataclass(frozen=True)
class _Restriction:
    field: str
    operator: str
    value: str


def parse_filter(text: str) -> JobQuery:
    """The query that `text` asks for; all jobs for an empty one. Raises InvalidInputError (INVALID_FILTER)."""
    if len(text) > MAX_FILTER_CHARACTERS:
        raise _refusal(f"{len(text)} characters", f"at most {MAX_FILTER_CHARACTERS} characters")
    query = JobQuery()
    for group in _groups(_tokens(text)):
        if len(group) > 1 and any(part.field != "state" for part in group):
            raise _refusal(" OR ".join(part.field for part in group))
        query = _narrowed(query, group)
    return query


def _tokens(text: str) -> list[str]:
    """Words, operators, and quoted values with a quote in front."""
    tokens, position = [], 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise _refusal(stripped[position : position + 20])
        operator, quoted, word = match.groups()
        tokens.append(operator or word or f'"{quoted}')
        position = match.end()
    return tokens


def _groups(tokens: list[str]) -> Iterator[list[_Restriction]]:
    """What AND joins, each a list of what OR joins."""
    rest = list(reversed(tokens))
    while rest:
        in_parentheses = rest[-1] == "("
        if in_parentheses:
            rest.pop()
        group = [_restriction(rest)]
        while rest and rest[-1] == "OR":
            rest.pop()
            group.append(_restriction(rest))
        if in_parentheses and (not rest or rest.pop() != ")"):
            raise _refusal("a parenthesis that is not closed")
        yield group
        if rest and (rest.pop() != "AND" or not rest):
            raise _refusal("something between two restrictions that is neither AND nor OR")


def _restriction(rest: list[str]) -> _Restriction:
    if len(rest) < 3:
        raise _refusal(" ".join(reversed(rest)) or "nothing")
    field, operator, value = rest.pop(), rest.pop(), rest.pop()
    return _Restriction(field, operator, value.removeprefix('"'))


def _narrowed(query: JobQuery, group: list[_Restriction]) -> JobQuery:
    """`query`, of that only what a group allows as well."""
    first = group[0]
    if first.field == "state":
        allowed = frozenset().union(*map(_states, group)) & (query.states or frozenset(State))
        if not allowed:
            raise _refusal("states that exclude each other")
        return replace(query, states=allowed)
    if first.field not in _TIMES or first.operator not in ("<", "<=", ">", ">="):
        raise _refusal(f"{first.field} {first.operator} {first.value}")
    name, seconds = _TIMES[first.field], _seconds(first.value)
    # The query holds [from, before): what lies just beyond an instant begins at the next number.
    if first.operator in ("<=", ">"):
        seconds = math.nextafter(seconds, math.inf)
    bound, closer = (f"{name}_from", max) if first.operator.startswith(">") else (f"{name}_before", min)
    known: float | None = getattr(query, bound)
    changes: dict[str, Any] = {bound: seconds if known is None else closer(seconds, known)}
    return replace(query, **changes)


def _states(part: _Restriction) -> frozenset[State]:
    name = part.value.removeprefix(_STATE_PREFIX).lower()
    if name not in list(State) or part.operator not in ("=", "!="):
        raise _refusal(
            f"{part.field} {part.operator} {part.value}", f"= or !=, and {', '.join(State).upper()}"
        )
    named = frozenset({State(name)})
    return named if part.operator == "=" else frozenset(State) - named


def _seconds(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise _refusal(text, 'a time with its zone, e.g. "2026-01-31T00:00:00Z"')
    return moment.timestamp()


def _refusal(value: str, limit: str = _GRAMMAR) -> InvalidInputError:
    return InvalidInputError(
        f"the filter has {value!r}, understood are {limit}; change the filter",
        reason="INVALID_FILTER",
        value=value,
        limit=limit,
        remedy="change the filter",
    )
