"""ContextASR-Bench's lists of entities and their scores."""

from __future__ import annotations

from collections import Counter

from uniaudio.evaluation.entities import exact_matches, fuzzy_matches, max_distance, score_entities


def test_allowed_distance() -> None:
    assert [max_distance(length) for length in range(1, 7)] == [0, 0, 1, 1, 2, 2]


def test_exact_matches_overlap_and_are_capped() -> None:
    text = ["new", "york", "city", "new", "york"]
    entities = ["new york city", "new york"]
    found = exact_matches(text, entities)
    assert found == ["new york", "new york city", "new york"]
    assert exact_matches(text, entities, Counter(entities)) == ["new york", "new york city"]


def test_fuzzy_matches_take_the_first_window_in_reach() -> None:
    text = ["he", "met", "doctor", "jan", "smith", "in", "town"]
    assert fuzzy_matches(text, ["doctor jane smith"]) == ["doctor jan smith"]
    assert fuzzy_matches(text, ["jan smith"]) == ["jan smith"]
    assert fuzzy_matches(text, ["jane smith"]) == [], "two words must be exact"


def test_a_window_that_holds_the_entity_counts_as_the_entity() -> None:
    assert fuzzy_matches(["x", "a", "b", "c"], ["a b c"]) == ["a b c"]


def test_scores() -> None:
    score = score_entities(
        "I saw John Smith in Paris.", "i saw jon smith in paris", ["John Smith", "Paris"], "en"
    )
    assert score is not None
    assert (score.words.total, score.words.num_reference) == (1, 6)
    assert (score.num_entities, score.num_missed, score.missed) == (2, 1, ("john smith",))
    assert (score.entities.total, score.entities.num_reference) == (2, 3)


def test_an_item_without_its_entity_is_dropped() -> None:
    assert score_entities("nobody here", "nobody here", ["Paris"], "en") is None
