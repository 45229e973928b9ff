"""What the studio shows of two transcripts, in the browser that shows it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

_ASKED = "async texts => (await import('/studio/difference.js')).difference(...texts)"


@pytest.mark.parametrize(
    ("before", "after", "pieces"),
    [
        (
            "the red door",
            "The green door.",
            [["same", "The "], ["gone", "red "], ["new", "green "], ["same", "door."]],
        ),
        ("我想喝茶", "我想喝咖啡", [["same", "我想喝"], ["gone", "茶"], ["new", "咖啡"]]),
        ("one two", "two", [["gone", "one "], ["same", "two"]]),
        ("", "new words", [["new", "new words"]]),
        ("", "", []),
    ],
)
def test_words_that_went_and_came(page: Page, before: str, after: str, pieces: list[list[str]]) -> None:
    assert page.evaluate(_ASKED, [before, after]) == pieces


def test_long_texts_take_no_more_than_what_changed(page: Page) -> None:
    hour = [f"word{number}" for number in range(9_000)]
    one = [*hour[:4_000], "new", *hour[4_001:]]
    same, gone, new, rest = page.evaluate(_ASKED, [" ".join(hour), " ".join(one)])
    assert (gone, new) == (["gone", "word4000 "], ["new", "new "])
    assert (same[1] + new[1] + rest[1]) == " ".join(one)
    other = page.evaluate(_ASKED, [" ".join(hour), " ".join(reversed(hour))])
    assert [kind for kind, _ in other] == ["gone", "new"]
