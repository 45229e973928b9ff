"""Removes checkpoints that are old, and what attempts that died have left."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Collection

from training.checkpoints.files import ATTEMPTS
from training.checkpoints.journal import CheckpointInfo, Entry, Journal
from uniaudio.errors import CheckpointError
from uniaudio.runtime.object_store import ObjectStore

_log = logging.getLogger(__name__)


def remove_old(store: ObjectStore, journal: Journal, keep_last: int) -> None:
    """Leaves the newest `keep_last` checkpoints; an entry goes before its files, so none is half there.

    The newest entry stays whatever it is: its number holds off writers of old.
    """
    numbers = journal.numbers()
    num_kept = 0
    doomed: list[Entry] = []
    for number in numbers:
        entry = _read_if_sound(journal, number)
        if isinstance(entry, CheckpointInfo) and num_kept < keep_last:
            num_kept += 1
        elif entry is not None and number != numbers[0]:
            doomed.append(entry)
    for entry in reversed(doomed):
        journal.remove(entry.number)
        if isinstance(entry, CheckpointInfo):
            store.delete_folder(f"{ATTEMPTS}/{entry.attempt}")


def remove_orphans(
    store: ObjectStore, journal: Journal, *, older_than_seconds: float, spare: Collection[str]
) -> None:
    """Removes attempts that no entry names, once nothing was added to them for so long; `spare` are at work."""
    touched_at: dict[str, float] = defaultdict(float)
    for info in store.list_folder(ATTEMPTS):
        attempt = info.key.split("/")[1]
        touched_at[attempt] = max(touched_at[attempt], info.modified_at)
    entries = [_read_if_sound(journal, number) for number in journal.numbers()]
    if None in entries:
        return  # a damaged entry may name any of them: nothing is removed until a person has looked
    known = {entry.attempt for entry in entries if isinstance(entry, CheckpointInfo)}
    for attempt in set(touched_at) - known - set(spare):
        if touched_at[attempt] < time.time() - older_than_seconds:
            _log.info("removing attempt %s, which was never finished", attempt)
            store.delete_folder(f"{ATTEMPTS}/{attempt}")


def _read_if_sound(journal: Journal, number: int) -> Entry | None:
    try:
        return journal.read(number)
    except CheckpointError as error:
        _log.warning("a manifest is left alone: %s", error)
        return None
