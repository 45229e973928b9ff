"""The wordings: published forms are trained on, three in ten are held out, none is both."""

from collections import Counter

from training.data.triplets.instructions import wordings
from training.data.triplets.triplet import Kind
from training.data.triplets.wordings import WORDINGS

PUBLISHED = (
    "insert '{w}' before the character or word at index {i}",
    "insert '{w}' at the end",
    "delete the characters or words from index {i} to index {j}",
    "substitute '{x}' with '{w}'",
    "denoise the audio",
    "adjusts the speed to {f}",
    "shifts the pitch by {s} steps",
    "adjusts the volume to {f}",
    "add {name} to audio",
    "change the emotion to {name} mood",
    "change the accent of the speech to {name}",
)


def test_published_forms_are_trained_on():
    trained = {wording.text for wording in wordings()}
    assert set(PUBLISHED) <= trained


def test_about_three_in_ten_of_every_kind_are_held_out():
    held_out = Counter((w.kind, w.language) for w in WORDINGS if w.held_out)
    of_kind = Counter((w.kind, w.language) for w in WORDINGS)
    for language in ("en", "zh"):
        for kind in Kind:
            share = held_out[kind, language] / of_kind[kind, language]
            assert 0.25 <= share <= 0.34, (kind, language, share)


def test_no_wording_is_trained_on_and_held_out():
    for language in ("en", "zh"):
        trained, kept = (
            {w.text.lower().rstrip(".") for w in wordings(held_out=held, languages=[language])}
            for held in (False, True)
        )
        assert not trained & kept
    assert len({wording.id for wording in WORDINGS}) == len(WORDINGS)
