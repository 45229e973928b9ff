"""Where the members of a tar shard lie, so that any of them is read without unpacking.

The index beside `x.tar` is `x.idx` in the form that DALI's WebDataset reader takes: `v1.2 <samples>`, then a
line a sample with `extension offset size name` for each of its members.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from uniaudio.errors import InvalidAudioError, InvalidInputError

_VERSION = "v1.2"
_CACHED_SHARDS = 128

Place = tuple[int, int]
"""Offset and size in bytes."""


def index_path(shard: Path) -> Path:
    """Where a shard's index lies."""
    return shard.with_suffix(".idx")


def locate(shard: Path, member: str) -> Place:
    """Where a member's bytes are; raises InvalidAudioError where the shard has no such member."""
    found = _places(shard).get(member)
    if found is None:
        raise InvalidAudioError(f"{shard} has no member {member!r}; write the manifest anew")
    return found


def members(shard: Path) -> dict[str, Place]:
    """All members in order; from the index, or from the shard itself where there is none."""
    return dict(_places(shard))


def split_name(member: str) -> tuple[str, str]:
    """What the members of one sample share, and this one's extension: all after the first dot of its name."""
    folder, slash, name = member.rpartition("/")
    stem, _, extension = name.partition(".")
    return folder + slash + stem, extension


def format_index(samples: Iterable[dict[str, Place]]) -> str:
    """The index of samples, each the places of its members by name."""
    lines = []
    for sample in samples:
        parts = []
        for name, (offset, size) in sample.items():
            if len(name.split()) != 1:
                raise InvalidInputError(f"the member {name!r} has spaces, which no index can hold; rename it")
            parts.append(f"{split_name(name)[1]} {offset} {size} {name}")
        lines.append(" ".join(parts))
    return "\n".join([f"{_VERSION} {len(lines)}", *lines]) + "\n"


def index_shard(shard: Path) -> Path:
    """Writes the index of a shard that came without one; returns its path."""
    samples: dict[str, dict[str, Place]] = {}
    for name, place in _scan(shard).items():
        samples.setdefault(split_name(name)[0], {})[name] = place
    part = index_path(shard).with_suffix(".idx.part")
    part.write_text(format_index(samples.values()), encoding="utf-8")
    return part.replace(index_path(shard))


@lru_cache(maxsize=_CACHED_SHARDS)
def _places(shard: Path) -> dict[str, Place]:
    path = index_path(shard)
    return _read_index(path) if path.is_file() else _scan(shard)


def _read_index(path: Path) -> dict[str, Place]:
    places: dict[str, Place] = {}
    lines = path.read_text(encoding="utf-8").splitlines()
    header = lines[0].split() if lines else []
    if not lines or header != [_VERSION, str(len(lines) - 1)]:
        raise InvalidInputError(
            f"{path}:1: {' '.join(header)!r} does not tell {_VERSION} and the number of lines; delete it and index anew"
        )
    for number, line in enumerate(lines[1:], 2):
        parts = line.split(" ")
        if len(parts) % 4 or not all(part.isdigit() for part in parts[1::4] + parts[2::4]):
            raise InvalidInputError(
                f"{path}:{number}: {line[:80]!r} is not 'extension offset size name' repeated; delete it and index anew"
            )
        for _, offset, size, name in zip(*(iter(parts),) * 4, strict=True):
            places[name] = (int(offset), int(size))
    return places


def _scan(shard: Path) -> dict[str, Place]:
    try:
        with tarfile.open(shard, "r:") as tar:
            return {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
    except (OSError, tarfile.TarError) as error:
        raise InvalidAudioError(f"{shard} cannot be read as a tar: {error}; restore it") from error
