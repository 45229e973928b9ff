"""Edits of how it sounds: speed, pitch, volume, noise, background, and the proxies of mood and accent.

A third of the sources are cut somewhere, so that a join in the source does not tell that words change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from training.data.augment.mix import MAX_PEAK, lower_together, mix_at_snr
from training.data.augment.noise import NOISES, babble
from training.data.augment.reverb import reverberate
from training.data.triplets.instructions import named_instruction, value_instruction
from training.data.triplets.scene import Scene
from training.data.triplets.semantic import CUTTERS
from training.data.triplets.triplet import Edit, Kind, Triplet, Waveform
from training.data.utterance import Span, Utterance, Voice
from uniaudio.editing.exact import apply_exact
from uniaudio.editing.plan import EditKind

_CUT_SHARE = 1 / 3
_REVERB_SHARE = 0.15
_BAD_SNR_SHARE = 0.1
_CROWD = (6, 10)
SPEEDS = tuple(round(0.1 * tenth, 1) for tenth in range(5, 21) if tenth != 10)
VOLUMES = tuple(round(0.1 * tenth, 1) for tenth in range(2, 21) if tenth != 10)
SEMITONES = tuple(step for step in range(-7, 8) if step)
SOUNDS = {"rain": (0.0, 15.0), "wind": (0.0, 15.0), "music": (5.0, 15.0), "crowd": (0.0, 15.0)}  # SNR in dB
# Pitch and range added and set, rate multiplied: caricatures, not feelings.
MOODS = {"happy": (15, 90, 1.12), "sad": (-12, 20, 0.85), "angry": (6, 95, 1.2), "calm": (-5, 25, 0.92)}
ACCENTS = {"American": "gmw/en-US", "British": "gmw/en-GB-x-rp", "Scottish": "gmw/en-GB-scotland"}
_BRITISH = ("gmw/en", "gmw/en-GB-x-rp")


def make_sound_triplet(kind: Kind, scene: Scene) -> Triplet:
    """An edit of the sound of a whole recording, or of nothing at all; for the proxies see `can_act`."""
    spoken = _recording(scene)
    return _MAKERS[kind](spoken, scene)


def can_act(voice: Voice) -> bool:
    """Whether mood and accent proxies can be made: by espeak-ng, which has pitch range and accents."""
    return voice.engine == "espeak-ng"


def _recording(scene: Scene) -> Utterance:
    """A sentence, in a third of cases cut and joined somewhere."""
    if scene.chance(_CUT_SHARE):
        return CUTTERS[scene.choose(list(CUTTERS))](scene).source
    return scene.utterance()


def _exact(kind: Kind, value: float, spoken: Utterance, scene: Scene) -> Triplet:
    source = spoken
    if kind is Kind.VOLUME and value > 1:
        peak = float(np.abs(spoken.waveform).max())
        source = replace(spoken, waveform=spoken.waveform * np.float32(min(1.0, MAX_PEAK / (value * peak))))
    changed = apply_exact(source.waveform, EditKind[kind.name], value).waveform
    scale = changed.size / source.waveform.size
    words = tuple(Span(w.label, round(w.start * scale), round(w.end * scale)) for w in source.words)
    return Triplet(
        kind=kind, method="dsp", source=source,
        target=replace(source, waveform=changed, words=words, phones=()),
        instruction=value_instruction(kind, value, scene.wordings, scene.rng),
        edit=Edit(value=value, unit="semitone" if kind is Kind.PITCH else "factor"),
    )  # fmt: skip


def _speed(spoken: Utterance, scene: Scene) -> Triplet:
    return _exact(Kind.SPEED, scene.choose(SPEEDS), spoken, scene)


def _pitch(spoken: Utterance, scene: Scene) -> Triplet:
    return _exact(Kind.PITCH, float(scene.choose(SEMITONES)), spoken, scene)


def _volume(spoken: Utterance, scene: Scene) -> Triplet:
    return _exact(Kind.VOLUME, scene.choose(VOLUMES), spoken, scene)


def _denoise(spoken: Utterance, scene: Scene) -> Triplet:
    bad = scene.chance(_BAD_SNR_SHARE)
    snr_db = float(scene.rng.uniform(-5, 0) if bad else scene.rng.uniform(0, 20))
    name = scene.choose([*sorted(NOISES), *(["crowd"] if scene.others else [])])
    room = reverberate(spoken.waveform, scene.rng) if scene.chance(_REVERB_SHARE) else spoken.waveform
    noisy, clean = lower_together(
        mix_at_snr(room, _noise(name, spoken.waveform.size, scene), snr_db), spoken.waveform
    )
    return Triplet(
        kind=Kind.DENOISE, method="mix",
        source=replace(spoken, waveform=noisy), target=replace(spoken, waveform=clean),
        instruction=named_instruction(Kind.DENOISE, "", scene.wordings, scene.rng),
        edit=Edit(snr_db=snr_db, name=name if room is spoken.waveform else f"{name}+reverb"),
    )  # fmt: skip


def _add_sound(spoken: Utterance, scene: Scene) -> Triplet:
    name = scene.choose([name for name in SOUNDS if name != "crowd" or scene.others])
    snr_db = float(scene.rng.uniform(*SOUNDS[name]))
    mixed, clean = lower_together(
        mix_at_snr(spoken.waveform, _noise(name, spoken.waveform.size, scene), snr_db), spoken.waveform
    )
    return Triplet(
        kind=Kind.ADD_SOUND, method="mix",
        source=replace(spoken, waveform=clean), target=replace(spoken, waveform=mixed),
        instruction=named_instruction(Kind.ADD_SOUND, name, scene.wordings, scene.rng),
        edit=Edit(snr_db=snr_db, name=name),
    )  # fmt: skip


def _noise(name: str, num_samples: int, scene: Scene) -> Waveform:
    if name != "crowd":
        return NOISES[name](num_samples, scene.rng)
    count = int(scene.rng.integers(_CROWD[0], _CROWD[1] + 1))
    texts = [tuple(scene.sentences.sentence(scene.rng).split()) for _ in range(count)]
    voices = [scene.speak(text, scene.choose(scene.others)).waveform for text in texts]
    return babble(num_samples, scene.rng, voices)


def _emotion(spoken: Utterance, scene: Scene) -> Triplet:
    mood = scene.choose(list(MOODS))
    raised, pitch_range, faster = MOODS[mood]
    voice = replace(
        scene.voice,
        pitch=int(np.clip(scene.voice.pitch + raised, 0, 99)),
        pitch_range=pitch_range,
        rate=round(scene.voice.rate * faster),
    )
    return _acted(Kind.EMOTION_PROXY, mood, voice, spoken, scene)


def _accent(spoken: Utterance, scene: Scene) -> Triplet:
    own = scene.voice.language
    accents = {
        name: language
        for name, language in ACCENTS.items()
        if language != own and not (name == "British" and own in _BRITISH)
    }
    accent = scene.choose(list(accents))
    return _acted(Kind.ACCENT_PROXY, accent, replace(scene.voice, language=accents[accent]), spoken, scene)


def _acted(kind: Kind, name: str, voice: Voice, spoken: Utterance, scene: Scene) -> Triplet:
    """The same words by the same voice in another mood or accent."""
    words = tuple(word.label for word in spoken.words)
    return Triplet(
        kind=kind, method="resynth", source=spoken, target=scene.speak(words, voice),
        instruction=named_instruction(kind, name, scene.wordings, scene.rng), edit=Edit(name=name),
    )  # fmt: skip


def _none(spoken: Utterance, scene: Scene) -> Triplet:
    return Triplet(
        kind=Kind.NONE, method="dsp", source=spoken, target=spoken, edit=Edit(),
        instruction=named_instruction(Kind.NONE, "", scene.wordings, scene.rng),
    )  # fmt: skip


_MAKERS: dict[Kind, Callable[[Utterance, Scene], Triplet]] = {
    Kind.SPEED: _speed,
    Kind.PITCH: _pitch,
    Kind.VOLUME: _volume,
    Kind.DENOISE: _denoise,
    Kind.ADD_SOUND: _add_sound,
    Kind.EMOTION_PROXY: _emotion,
    Kind.ACCENT_PROXY: _accent,
    Kind.NONE: _none,
}
