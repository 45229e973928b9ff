"""Pages of docs/ whose middle is written by a command: what stands between two marks."""

from __future__ import annotations

from pathlib import Path


def between(page: Path, begin: str, end: str) -> str:
    """What stands between the marks now; ValueError where a page has none."""
    return _parts(page, begin, end)[1]


def put_between(page: Path, begin: str, end: str, text: str) -> None:
    """Puts `text` there instead."""
    before, _, after = _parts(page, begin, end)
    page.write_text(f"{before}{begin}\n{text}\n{end}{after}")


def _parts(page: Path, begin: str, end: str) -> tuple[str, str, str]:
    before, has_begin, rest = page.read_text().partition(begin)
    middle, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise ValueError(f"{page.name} lacks the marks {begin} and {end}")
    return before, middle, after
