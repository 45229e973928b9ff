"""What a stored model consists of: the names, sizes and hashes of its files, as one small object beside them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from uniaudio.errors import StoreError, UniaudioError
from uniaudio.file_digest import sha256_of_file
from uniaudio.runtime.object_store import PARTIAL, check_key

MANIFEST = "manifest.json"
_SHA256 = re.compile("[0-9a-f]{64}")
_MAX_FILES = 10_000


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One file; `sha256` in hex."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All files of a model."""

    files: tuple[ModelFile, ...]

    @property
    def size_bytes(self) -> int:
        """Of all files together."""
        return sum(file.size_bytes for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest's bytes, in hex: names the model's content, whatever its address."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def to_bytes(self) -> bytes:
        """As it is stored: one model has one such form."""
        files = [asdict(file) for file in sorted(self.files, key=lambda file: file.name)]
        return json.dumps({"files": files}, indent=1, sort_keys=True).encode() + b"\n"


def describe_folder(folder: Path) -> Manifest:
    """The manifest of a checkpoint's folder, which holds files and nothing else. Reads every byte.

    Raises StoreError (MODEL_MANIFEST) for any other folder.
    """
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    others = [path.name for path in paths if not path.is_file() or path.name == MANIFEST]
    if not paths or others:
        found = ", ".join(others[:3]) or "no files"
        raise _wrong(
            f"{folder} holds {found}",
            f"a checkpoint's files, none called {MANIFEST}, and no folders",
            "name the checkpoint's folder, or take out what is not of it",
        )
    return Manifest(tuple(_describe(path) for path in paths))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """The manifest that `data` is; raises StoreError (MODEL_MANIFEST) for anything else."""
    try:
        files = tuple(_file(entry) for entry in json.loads(data)["files"])
        if not 0 < len(files) <= _MAX_FILES or len({file.name for file in files}) < len(files):
            raise ValueError(f"{len(files)} files, some of one name")
        return Manifest(files)
    except (ValueError, TypeError, KeyError, UniaudioError) as error:
        raise _wrong(
            f"{where} is no manifest of a model ({error})",
            f"1 to {_MAX_FILES} files with name, size_bytes and sha256",
            "store the model again by `python -m uniaudio.runtime.models push`",
        ) from error


def _describe(path: Path) -> ModelFile:
    return ModelFile(name=path.name, size_bytes=path.stat().st_size, sha256=sha256_of_file(path))


def _file(entry: dict[str, Any]) -> ModelFile:
    file = ModelFile(**entry)
    if not isinstance(file.name, str) or not isinstance(file.sha256, str):
        raise TypeError("names and hashes are texts")
    name = check_key(file.name)
    if "/" in name or name == MANIFEST or name.endswith(PARTIAL):
        raise ValueError(f"{name!r} is no name of a file of a model")
    if not isinstance(file.size_bytes, int) or file.size_bytes < 0 or not _SHA256.fullmatch(file.sha256):
        raise ValueError(f"size or hash of {name!r} are none")
    return file


def _wrong(what: str, limit: str, remedy: str) -> StoreError:
    return StoreError(f"{what}; {remedy}", reason="MODEL_MANIFEST", value=what, limit=limit, remedy=remedy)
