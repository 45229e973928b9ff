"""Draws one triplet: what training asks for item by item, and what the corpus writer writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.espeak import Speaker
from training.data.triplets.acoustic import make_sound_triplet
from training.data.triplets.acted import make_acted_triplet
from training.data.triplets.instructions import wordings as choose_wordings
from training.data.triplets.scene import Scene
from training.data.triplets.semantic import make_word_triplet
from training.data.triplets.spoken_scene import Sentences, SpokenScene
from training.data.triplets.triplet import Kind, Triplet
from training.data.triplets.wordings import Wording
from training.data.utterance import Voice
from uniaudio.errors import InvalidInputError

_MAX_DRAWS = 20


def make_triplet(
    kind: Kind,
    speaker: Speaker,
    grammar: Sentences,
    voice: Voice,
    rng: np.random.Generator,
    *,
    wordings: Sequence[Wording] | None = None,
    others: Sequence[Voice] = (),
) -> Triplet:
    """A triplet of that kind; the same arguments, and generators in the same state, give the same bytes.

    `wordings` are those to choose from, by default the English ones of training; `others` speak in the
    background where a crowd is wanted. A sentence that has no place for the edit is drawn again, up to 20
    times. Raises InvalidInputError for a proxy of a voice that cannot act it, and after the last draw.
    """
    scene = SpokenScene(
        speaker=speaker,
        sentences=grammar,
        voice=voice,
        rng=rng,
        wordings=choose_wordings() if wordings is None else wordings,
        others=others,
    )
    return triplet_in(scene, kind)


def triplet_in(scene: Scene, kind: Kind) -> Triplet:
    """A triplet of that kind, drawn from the scene as in `make_triplet`, with its errors."""
    if kind not in scene.kinds:
        possible = ", ".join(scene.kinds)
        raise InvalidInputError(
            f"{kind.value} cannot be made here, only a voice of espeak-ng can act it; possible are {possible}"
        )
    for _ in range(_MAX_DRAWS):
        try:
            return _made(scene, kind)
        except InvalidInputError as error:
            refused = error
    raise refused


def _made(scene: Scene, kind: Kind) -> Triplet:
    if kind.changes_words:
        return make_word_triplet(kind, scene)
    if kind.is_acted:
        assert isinstance(scene, SpokenScene), "no other scene has acted kinds"
        return make_acted_triplet(kind, scene)
    return make_sound_triplet(kind, scene)
