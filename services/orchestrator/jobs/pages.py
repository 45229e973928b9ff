"""Pages of a list: keyset tokens that stay right while jobs come and go."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import replace
from typing import Any

from sqlalchemy import Row, Select, and_, or_

from services.orchestrator.jobs.model import MAX_PAGE_SIZE, JobQuery, is_id
from services.orchestrator.jobs.tables import JOBS
from uniaudio.errors import InvalidInputError

_DEFAULT_PAGE_SIZE = 50
_MAX_TOKEN_CHARACTERS = 512


def page_size_of(query: JobQuery) -> int:
    """How many jobs a page has at most; raises InvalidInputError below 0."""
    if query.page_size < 0:
        raise InvalidInputError(
            f"page_size is {query.page_size}; ask for 0 (the default) to {MAX_PAGE_SIZE}",
            value=query.page_size,
            limit=f"0 to {MAX_PAGE_SIZE}",
            remedy="ask for a size inside",
        )
    return min(query.page_size or _DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def filtered(statement: Select[Any], query: JobQuery) -> Select[Any]:
    """The statement for the jobs that the query asks for, after its token's."""
    jobs = JOBS.c
    if query.states:
        statement = statement.where(jobs.state.in_(sorted(query.states)))
    for column, start, end in (
        (jobs.created_at, query.created_from, query.created_before),
        (jobs.ended_at, query.ended_from, query.ended_before),
    ):
        if start is not None:
            statement = statement.where(column >= start)
        if end is not None:
            statement = statement.where(column < end)
    if query.page_token:
        created_at, job_id = _read_token(query)
        older = and_(jobs.created_at == created_at, jobs.job_id < job_id)
        statement = statement.where(or_(jobs.created_at < created_at, older))
    return statement


def token_after(last: Row[Any], query: JobQuery) -> str:
    """What asks for the page after the one that ends with `last`."""
    content = json.dumps([last.created_at.hex(), last.job_id, _fingerprint(query)])
    return base64.urlsafe_b64encode(content.encode()).decode()


def _read_token(query: JobQuery) -> tuple[float, str]:
    token = query.page_token
    try:
        if len(token) > _MAX_TOKEN_CHARACTERS:
            raise ValueError(len(token))
        created_at, job_id, fingerprint = json.loads(base64.b64decode(token, b"-_", validate=True))
        if not is_id(job_id):
            raise ValueError(job_id)
        place = float.fromhex(created_at), job_id
    except (binascii.Error, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _wrong_token("none that a page ended with") from error
    if fingerprint != _fingerprint(query):
        raise _wrong_token("one of another filter")
    return place


def _fingerprint(query: JobQuery) -> str:
    """Of everything but the token and the size, which may change from page to page."""
    plain = replace(query, page_token="", page_size=0, states=frozenset())
    return hashlib.sha256(f"{plain} {sorted(query.states)}".encode()).hexdigest()[:16]


def _wrong_token(what: str) -> InvalidInputError:
    return InvalidInputError(
        f"the page token is {what}; send next_page_token of the page before, with the same filter",
        value=what,
        limit="next_page_token of the page before, with the same filter",
        remedy="send it, or begin at the first page",
    )
