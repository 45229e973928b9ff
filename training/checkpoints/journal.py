"""The numbered list of what was published: who is first to write a number has it.

    lease.json                          who may publish
    manifests/000000000007.json         one entry: a checkpoint, or a new writer's claim
    attempts/<step>-<random>/...        the files of one attempt to save; nobody reads them without an entry

A new writer opens with a claim of its own. That takes the number which the writer before it would use next,
so a writer that slept through the loss of its lease cannot publish when it wakes.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from training.checkpoints.files import FileInfo
from uniaudio.errors import CheckpointError, UniaudioError
from uniaudio.runtime.object_store import ObjectStore, create_once

FORMAT = 1
LEASE_KEY = "lease.json"
_FOLDER = "manifests"


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """A published checkpoint: every file of every rank, with size and hash.

    `number` is its place in the journal: the highest is the latest. `token` is its writer's.
    """

    number: int
    step: int
    attempt: str
    token: int
    holder: str
    created_at: float
    num_ranks: int
    files: tuple[FileInfo, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A writer's first entry: nothing with a lower token may follow."""

    number: int
    token: int
    holder: str


Entry = CheckpointInfo | Claim


class Journal:
    """Reads and adds entries; knows nothing of leases."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def numbers(self) -> list[int]:
        """The numbers that are taken, newest first."""
        keys = [info.key.removeprefix(f"{_FOLDER}/") for info in self._store.list_folder(_FOLDER)]
        return sorted((int(key.removesuffix(".json")) for key in keys if _is_entry(key)), reverse=True)

    def read(self, number: int) -> Entry | None:
        """An entry, or None where it was pruned; raises CheckpointError where it is damaged."""
        found = self._store.read(_key(number))
        if found is None:
            return None
        try:
            return _parse(found.data, number)
        except (ValueError, TypeError, KeyError, UniaudioError) as error:
            raise CheckpointError(
                f"{self._store.url}/{_key(number)} is no manifest of format {FORMAT} ({error!r}); remove it, or "
                "use the version that wrote it",
                reason="CHECKPOINT_DAMAGED",
            ) from error

    def add(self, entry: Entry) -> bool:
        """Whether the entry has its number now; False: another entry has it."""
        kind = "checkpoint" if isinstance(entry, CheckpointInfo) else "claim"
        text = json.dumps({"format": FORMAT, "kind": kind, **asdict(entry)}, indent=1)
        return create_once(self._store, _key(entry.number), text.encode())

    def remove(self, number: int) -> None:
        """Makes an entry invisible; never the newest, which holds off writers of old."""
        self._store.delete(_key(number))


def _parse(data: bytes, number: int) -> Entry:
    values = json.loads(data)
    kind: Literal["checkpoint", "claim"] = values.pop("kind")
    if values.pop("format") != FORMAT or values["number"] != number:
        raise ValueError("format or number differ")
    if kind == "claim":
        return Claim(**values)
    files = tuple(FileInfo(**file) for file in values.pop("files"))
    return CheckpointInfo(**values, files=files)


def _key(number: int) -> str:
    return f"{_FOLDER}/{number:012d}.json"


def _is_entry(name: str) -> bool:
    stem, dot, suffix = name.partition(".")
    return stem.isdigit() and dot + suffix == ".json"
