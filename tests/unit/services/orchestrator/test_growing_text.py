"""Texts that are written at once are told as one, in their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.orchestrator.growing_text import GrowingText
from services.orchestrator.replies import join_texts

_PIECES = st.lists(st.sampled_from(["one", " two", "三", " 四", "five"]), max_size=4)


@given(st.lists(_PIECES, max_size=4), st.randoms(use_true_random=False))
def test_whatever_comes_first_the_texts_are_told_in_their_order(texts: list[list[str]], random) -> None:
    told: list[str] = []
    growing = GrowingText(told.append)
    left = {index: [*pieces, None] for index, pieces in enumerate(texts)}
    while left:
        index = random.choice(sorted(left))
        piece = left[index].pop(0)
        if piece is None:
            growing.end(index)
            del left[index]
        else:
            growing.feed(index, piece)
    assert "".join(told) == join_texts(["".join(pieces) for pieces in texts])
