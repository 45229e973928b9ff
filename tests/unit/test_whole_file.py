"""A reader sees the old content or the new, whatever happens to the writer."""

from __future__ import annotations

from pathlib import Path

import pytest

from uniaudio.whole_file import write_whole


def test_text_and_bytes_come_with_their_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_whole(path, "é")
    assert path.read_bytes() == "é".encode()
    write_whole(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert list(path.parent.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half a pair \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
