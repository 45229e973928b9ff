"""Words come while they are written, and in a row they are the whole reply's, however it was cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.growing_reply import GrowingReply
from services.orchestrator.replies import parse_reply

_PARTS = (
    "English",
    "\t",
    " ",
    "hello",
    "[",
    "CLS]",
    "[gMASK]",
    "<",
    "|",
    ">",
    "<|endoftext|>",
    "<audio>",
    "</",
    "你好",
    "\n",
)


def told(pieces: list[str], language: str = "") -> list[str]:
    reply = GrowingReply(language)
    return [*(reply.feed(piece) for piece in pieces), reply.finish("".join(pieces))]


@pytest.mark.parametrize(
    ("pieces", "language", "expected"),
    [
        (
            ["Eng", "lish", "\t", "hel", "lo ", "there", "<|endoftext|>"],
            "",
            ["", "", "", "hel", "lo", " there", "", ""],
        ),
        (["你", "好", "<|end", "oftext|>"], "Chinese", ["你", "好", "", "", ""]),
        (["short"], "", ["", "short"]),
        (["w" * 40, " more"], "", ["w" * 40, " more", ""]),
        (["a < b", " > c"], "English", ["a", " < b > c", ""]),
        (["a [", "CLS] b"], "English", ["a", "  b", ""]),
        (["see [", "1]"], "English", ["see", " [1]", ""]),
    ],
)
def test_words_come_as_soon_as_they_are_certain(
    pieces: list[str], language: str, expected: list[str]
) -> None:
    assert told(pieces, language) == expected


@given(
    st.lists(st.sampled_from(_PARTS), max_size=20),
    st.lists(st.integers(0, 200), max_size=12),
    st.sampled_from(["", "English"]),
)
def test_all_pieces_in_a_row_are_the_whole(parts: list[str], cuts: list[int], language: str) -> None:
    whole = "".join(parts)
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(places)]
    assert "".join(told(pieces, language)) == parse_reply(whole, language).text
