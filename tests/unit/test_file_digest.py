"""Files are named by what they hold, one by one or together."""

import hashlib
from pathlib import Path

import pytest

from uniaudio.errors import CheckpointError
from uniaudio.evaluation.judges import hash_weights
from uniaudio.file_digest import sha256_of_file, sha256_of_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b" / "c").write_bytes(b"two")
    return tmp_path


def test_several_files_are_one_content(folder: Path) -> None:
    assert sha256_of_file(folder / "a") == hashlib.sha256(b"one").hexdigest()
    assert (
        sha256_of_files([folder / "a", folder / "b" / "c"])
        == hash_weights(folder)
        == hashlib.sha256(b"onetwo").hexdigest()
    )


def test_weights_are_a_file_or_a_folder_of_them(folder: Path) -> None:
    assert hash_weights(folder / "a") == sha256_of_file(folder / "a")
    with pytest.raises(CheckpointError, match="does not exist"):
        hash_weights(folder / "no")
