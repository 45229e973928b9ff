"""Whether the files of an audit log are whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from uniaudio.errors import InvalidInputError, StoreError
from uniaudio.runtime.guard.audit_chain import (
    GENESIS,
    MAX_LINE_BYTES,
    ChainError,
    Link,
    start_of,
    verify_lines,
)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What an unbroken log holds."""

    num_records: int
    begins_after: Link
    """Where the chain stood before the first file; record 0 where nothing of it is missing."""
    ends_with: Link


class BrokenLogError(StoreError):
    """A log was changed; the message names file and line of the first record that does not fit."""

    reason = "AUDIT_LOG_BROKEN"


def verify_files(paths: Sequence[Path], anchors: Mapping[int, str] | None = None) -> Verified:
    """Follows the chain through `paths`, oldest first; each must go on where the one before ended.

    `anchors`: hashes by record number that were kept elsewhere. Raises BrokenLogError for the first record that
    was changed, taken out, put in or moved, and for an anchor whose record is missing at the end.
    """
    link: Link | None = None
    first: Link | None = None
    for path in paths:
        try:
            with path.open("rb") as file:
                first = first or _start(file.read(MAX_LINE_BYTES))
                file.seek(0)
                link = verify_lines(_lines(file), link, anchors)
        except ChainError as error:
            raise _broken(f"{path}, {error}", path=path, line=error.line) from error
    begins_after, link = first or Link(), link or Link()
    if begins_after.number == 0 and begins_after.hash != GENESIS:
        raise _broken(f"{paths[0]}, line 1: the first record does not begin a chain", path=paths[0], line=1)
    missing = [number for number in anchors or {} if number > link.number]
    if missing:
        raise _broken(
            f"record {min(missing)}, which an anchor names, is missing: the log ends with record {link.number}",
            path=paths[-1],
            line=0,
        )
    return Verified(num_records=link.number - begins_after.number, begins_after=begins_after, ends_with=link)


def parse_anchor(text: str) -> tuple[int, str]:
    """Number and hash of `NUMBER:HASH`. Raises InvalidInputError for another form."""
    number, _, digest = text.strip().partition(":")
    if not number.isdecimal() or len(digest) != len(GENESIS):
        raise InvalidInputError(
            f"{text!r} is no anchor; give NUMBER:HASH, as the line `audit anchor` of the service's log tells it",
            value=text[:100],
            limit="NUMBER:HASH",
            remedy="take it from the service's log",
        )
    return int(number), digest


def _start(head: bytes) -> Link:
    return start_of(head.partition(b"\n")[0]) if head else Link()


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line


def _broken(what: str, *, path: Path, line: int) -> BrokenLogError:
    return BrokenLogError(
        f"the audit log is broken: {what}",
        value=what,
        limit="an unbroken chain",
        remedy="take the log from a copy, and find out who changed it",
        path=path,
        line=line,
    )
