"""Several readings become one: the likeliest, mended where others are likelier."""

from __future__ import annotations

from collections.abc import Sequence

from services.orchestrator.readings import likeliest, most_alike
from uniaudio.text.distance import edit_distance

READINGS = ("the cold boat went home", "the old goat went home", "the cold goat bent foam")


def hearing(said: str, nats: float = 5.0):
    """An ear that is surprised by every word that was not said."""

    def surprise(texts: Sequence[str]) -> list[float]:
        return [nats * edit_distance(text.split(), said.split()) for text in texts]

    return surprise


def test_places_are_mended_one_by_one_from_what_others_read() -> None:
    assert likeliest(READINGS, hearing("the old boat went home")) == "the old boat went home"


def test_nothing_is_made_up() -> None:
    said = likeliest(READINGS, hearing("a bold moat lent rome"))
    assert set(said.split()) <= set(" ".join(READINGS).split())


def test_an_ear_that_cannot_tell_leaves_it_to_the_readings() -> None:
    assert likeliest(READINGS, hearing("anything", nats=0.0)) == "the cold goat went home"
    assert likeliest(READINGS[:1] * 2 + READINGS[1:2], hearing("", nats=0.0)) == READINGS[0]


def test_words_that_are_missing_or_too_many_are_mended_too() -> None:
    readings = ("the boat", "the old boat", "an old boat went")
    assert likeliest(readings, hearing("the old boat went")) == "the old boat went"
    assert likeliest(readings, hearing("the boat", nats=50.0)) == "the boat"


def test_without_an_ear_the_most_alike_is_taken() -> None:
    assert most_alike(("one two", "one too", "one two three")) == 0
