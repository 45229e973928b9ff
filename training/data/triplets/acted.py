"""Proxies of mood and accent, which a synthesiser acts: the same words by the same voice, spoken in another way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.data.triplets.acoustic import recording
from training.data.triplets.instructions import named_instruction
from training.data.triplets.spoken_scene import SpokenScene
from training.data.triplets.triplet import Edit, Kind, Triplet
from training.data.utterance import Utterance, Voice

# Pitch and range added and set, rate multiplied: caricatures, not feelings.
MOODS = {"happy": (15, 90, 1.12), "sad": (-12, 20, 0.85), "angry": (6, 95, 1.2), "calm": (-5, 25, 0.92)}
ACCENTS = {"American": "gmw/en-US", "British": "gmw/en-GB-x-rp", "Scottish": "gmw/en-GB-scotland"}
_BRITISH = ("gmw/en", "gmw/en-GB-x-rp")


def make_acted_triplet(kind: Kind, scene: SpokenScene) -> Triplet:
    """A sentence, and the same one in another mood or accent; for voices that can act."""
    maker = _emotion if kind is Kind.EMOTION_PROXY else _accent
    return maker(recording(scene), scene)


def _emotion(spoken: Utterance, scene: SpokenScene) -> Triplet:
    mood = scene.choose(list(MOODS))
    raised, pitch_range, faster = MOODS[mood]
    voice = replace(
        scene.voice,
        pitch=int(np.clip(scene.voice.pitch + raised, 0, 99)),
        pitch_range=pitch_range,
        rate=round(scene.voice.rate * faster),
    )
    return _acted(Kind.EMOTION_PROXY, mood, voice, spoken, scene)


def _accent(spoken: Utterance, scene: SpokenScene) -> Triplet:
    own = scene.voice.language
    accents = {
        name: language
        for name, language in ACCENTS.items()
        if language != own and not (name == "British" and own in _BRITISH)
    }
    accent = scene.choose(list(accents))
    return _acted(Kind.ACCENT_PROXY, accent, replace(scene.voice, language=accents[accent]), spoken, scene)


def _acted(kind: Kind, name: str, voice: Voice, spoken: Utterance, scene: SpokenScene) -> Triplet:
    """The same words by the same voice in another mood or accent."""
    words = tuple(word.label for word in spoken.words)
    return Triplet(
        kind=kind, method="resynth", source=spoken, target=scene.speak(words, voice),
        instruction=named_instruction(kind, name, scene.wordings, scene.rng), edit=Edit(name=name),
    )  # fmt: skip
