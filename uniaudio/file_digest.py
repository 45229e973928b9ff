"""What files' contents are, as one short name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a file's content, in hex; reads it piece by piece."""
    return sha256_of_files([path])


def sha256_of_files(paths: Iterable[Path]) -> str:
    """SHA-256 of the files' contents one after another, in hex; reads them piece by piece."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()
