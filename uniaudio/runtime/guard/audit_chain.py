"""Records chained by their hashes: how they are written, and how a broken chain is found."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What the first record of a chain carries in place of the hash of the one before."""
MAX_LINE_BYTES = 16 << 10


@dataclass(frozen=True, kw_only=True)
class Link:
    """Where a chain stands: the number and the hash of its last record, 0 and GENESIS before the first."""

    number: int = 0
    hash: str = GENESIS

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class ChainError(Exception):
    """A record that does not follow from the one before; `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(f"line {line}: {why}")
        self.line = line
        self.why = why


def chained(link: Link, fields: Mapping[str, Any]) -> tuple[bytes, Link]:
    """The line of the record after `link`, and where the chain stands then."""
    record = {**fields, "number": link.number + 1, "previous": link.hash}
    digest = _digest(record)
    return _canonical({**record, "hash": digest}) + b"\n", Link(number=link.number + 1, hash=digest)


def follow(link: Link, line: bytes, position: int) -> tuple[Link, Mapping[str, Any]]:
    """Where the chain stands after `line`, and its record. Raises ChainError where it does not follow."""
    try:
        record = json.loads(line)
        told = record.pop("hash")
        number, previous = record["number"], record["previous"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ChainError(position, f"it is no record ({error!r})") from error
    if _canonical({**record, "hash": told}) + b"\n" != line or _digest(record) != told:
        raise ChainError(position, f"record {number} was changed: its hash is not that of its content")
    if number != link.number + 1:
        raise ChainError(position, f"record {link.number + 1} was due, but record {number} stands there")
    if previous != link.hash:
        raise ChainError(
            position, f"record {number} does not follow record {link.number}, which was changed or moved"
        )
    return Link(number=number, hash=told), record


def start_of(line: bytes) -> Link:
    """Where the chain stood before the first line of a file. Raises ChainError for a line that is no record."""
    try:
        record = json.loads(line)
        return Link(number=int(record["number"]) - 1, hash=str(record["previous"]))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ChainError(1, f"it is no record ({error!r})") from error


def verify_lines(
    lines: Iterable[bytes], link: Link | None = None, anchors: Mapping[int, str] | None = None
) -> Link:
    """Where a chain stands after all `lines`, which begin after `link` (None: wherever the first line says).

    `anchors` are hashes by record number that were kept elsewhere; each record of such a number must have it.
    Raises ChainError naming the first broken line.
    """
    for position, line in enumerate(lines, 1):
        if link is None:
            link = start_of(line)
        link, _ = follow(link, line, position)
        if anchors and anchors.get(link.number, link.hash) != link.hash:
            raise ChainError(position, f"record {link.number} is not the one that the anchor names")
    return link or Link()


def _canonical(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _digest(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(record)).hexdigest()
