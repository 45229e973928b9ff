"""What a cluster refuses, in our own words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from uniaudio.errors import (
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    UnavailableError,
    UniaudioError,
)

if TYPE_CHECKING:
    from kubernetes.client import ApiException

QUOTA_WORDS = "exceeded quota"


@contextmanager
def named(verb: str, what: str, *, namespace: str, host: str) -> Iterator[None]:
    """Around one call: its failure as an error that names what was asked for, where, and what to do."""
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise _explain(error, verb, what, namespace) from error
    except HTTPError as error:
        raise UnavailableError(
            f"the cluster at {host} does not answer: {_cause(error)}; see that it runs, and that --context names "
            "the one you mean",
            reason="CLUSTER_AWAY",
            value=host,
            limit="a cluster that answers",
            remedy="see that it runs, and that --context names the one you mean",
        ) from error


def quota_error(message: str) -> QuotaExceededError:
    """There is not enough left of a namespace's quota."""
    return QuotaExceededError(
        f"the namespace's quota is used up: {message}; ask for less, end other Jobs, or have the quota raised",
        reason="CLUSTER_QUOTA",
        value=message,
        limit="the namespace's ResourceQuota",
        remedy="ask for less, end other Jobs, or have the quota raised",
        retry_after_seconds=60,
    )


def _explain(error: ApiException, verb: str, what: str, namespace: str) -> UniaudioError:
    said = _message(error)
    place = f"{what} in namespace {namespace}"
    if error.status == 403 and QUOTA_WORDS in said:
        return quota_error(said)
    if error.status in (401, 403):
        remedy = "ask for the rights of deploy/training/access.yaml"
        if error.status == 401:
            remedy = "log in to the cluster again"
        return _error(PermissionDeniedError, "CLUSTER_DENIED", f"you may not {verb} {place}: {said}", remedy)
    if error.status == 404:
        return _error(NotFoundError, "NOT_FOUND", f"there is no {place}", "see `uniaudio train list`")
    if error.status == 409 and verb == "create":
        remedy = "give another --name, or stop that one first"
        return _error(InvalidInputError, "NAME_TAKEN", f"there is a {place} already", remedy)
    if error.status in (400, 409, 413, 422):
        text = f"the cluster refuses to {verb} {place}: {said}"
        return _error(InvalidInputError, "CLUSTER_REFUSED", text, "correct what it names")
    text = f"the cluster could not {verb} {place}: {said}"
    return _error(UnavailableError, "CLUSTER_AWAY", text, "try again in a moment")


def _error(kind: type[UniaudioError], reason: str, text: str, remedy: str) -> UniaudioError:
    return kind(
        f"{text}; {remedy}", reason=reason, value=text, limit="what the cluster allows", remedy=remedy
    )


def _message(error: ApiException) -> str:
    """What the cluster itself says, without its wrapping."""
    body = error.body.decode("utf-8", "replace") if isinstance(error.body, bytes) else str(error.body or "")
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.strip()[:500] or f"{error.status} {error.reason}"


def _cause(error: Exception) -> str:
    """The innermost reason of a chain of connection errors."""
    inner = getattr(error, "reason", None)
    return _cause(inner) if isinstance(inner, Exception) else str(error)
