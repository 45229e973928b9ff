"""Which voices, sentences and wordings make a split: none of the held-out ones is ever trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.grammar import WORDS, Grammar
from training.data.triplets.instructions import wordings
from training.data.triplets.spoken_scene import Sentences
from training.data.triplets.wordings import Wording
from training.data.utterance import Voice
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES

# Words that the grammar does not know, by the list whose place they take.
NEW_WORDS = {
    "person": ("astronaut", "butcher", "carpenter", "detective", "gambler", "pirate", "plumber", "wizard"),
    "animal": ("badger", "beaver", "giraffe", "hamster", "panther", "penguin", "salmon", "zebra"),
    "thing": ("anchor", "blender", "compass", "helicopter", "lantern", "marble", "pyramid", "wardrobe"),
    "quality": ("bitter", "crooked", "fragile", "hollow", "magic", "plastic", "shiny", "stubborn"),
}


@dataclass(frozen=True, kw_only=True)
class Split:
    """What a split is drawn from."""

    name: str
    sentences: Sentences
    voices: Sequence[Voice]
    wordings: Sequence[Wording]


class WithNewWords:
    """Sentences of another grammar, each with one or two words that it does not know."""

    def __init__(self, known: Sentences) -> None:
        self._known = known

    def sentence(self, rng: np.random.Generator) -> str:
        """A sentence that holds at least one new word."""
        while True:
            words = self._known.sentence(rng).split()
            places = [
                (at, name) for at, word in enumerate(words) for name in NEW_WORDS if word in WORDS[name]
            ]
            if places:
                break
        for index in rng.permutation(len(places))[:2]:
            at, name = places[index]
            words[at] = str(rng.choice(NEW_WORDS[name]))
        return " ".join(words)


def splits(languages: Sequence[str] = ("en",)) -> dict[str, Split]:
    """The six splits by name; instructions in these languages."""
    trained, held_out = (wordings(held_out=held, languages=languages) for held in (False, True))
    made = (
        ("train", Grammar("train"), TRAINING_VOICES, trained),
        ("dev", Grammar("dev"), TRAINING_VOICES, trained),
        ("test-seen", Grammar("test"), TRAINING_VOICES, trained),
        ("test-new-voice", Grammar("test"), HELD_OUT_VOICES, trained),
        ("test-new-words", WithNewWords(Grammar("test")), TRAINING_VOICES, trained),
        ("test-new-wording", Grammar("test"), TRAINING_VOICES, held_out),
    )
    return {
        name: Split(name=name, sentences=sentences, voices=voices, wordings=said)
        for name, sentences, voices, said in made
    }
