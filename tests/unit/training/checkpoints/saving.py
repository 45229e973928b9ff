"""Small checkpoints for tests."""

from __future__ import annotations

from pathlib import Path


def write_folder(folder: Path, seed: int, *, num_files: int = 2, rank: int = 0) -> Path:
    """A folder with a few small files, one of them deeper, that differ by `seed`."""
    folder.mkdir(parents=True)
    (folder / f".metadata-{rank}").write_bytes(b"%d" % seed)
    (folder / "shards").mkdir()
    for index in range(num_files - 1):
        (folder / f"shards/{rank}-{index}.bin").write_bytes(bytes([seed % 256, index, rank]) * 1000)
    return folder


def content_of(folder: Path) -> dict[str, bytes]:
    """Every file's content by its path in the folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
