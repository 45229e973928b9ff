"""Draws one triplet: what training asks for item by item, and what the corpus writer writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.espeak import Speaker
from training.data.triplets.acoustic import can_act, make_sound_triplet
from training.data.triplets.instructions import wordings as choose_wordings
from training.data.triplets.scene import Scene, Sentences
from training.data.triplets.semantic import make_word_triplet
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
    if kind not in kinds_for(voice):
        raise InvalidInputError(
            f"{voice.engine} cannot act {kind.value} in voice {voice.name}: draw a voice of espeak-ng for this kind"
        )
    scene = Scene(
        speaker=speaker,
        sentences=grammar,
        voice=voice,
        rng=rng,
        wordings=choose_wordings() if wordings is None else wordings,
        others=others,
    )
    maker = make_word_triplet if kind.changes_words else make_sound_triplet
    for _ in range(_MAX_DRAWS):
        try:
            return maker(kind, scene)
        except InvalidInputError as error:
            refused = error
    raise refused


def kinds_for(voice: Voice) -> tuple[Kind, ...]:
    """The kinds that this voice can be edited by."""
    proxies = (Kind.EMOTION_PROXY, Kind.ACCENT_PROXY)
    return tuple(kind for kind in Kind if can_act(voice) or kind not in proxies)
