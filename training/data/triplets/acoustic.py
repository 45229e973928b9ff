"""Edits of how it sounds: speed, pitch, volume, noise, background.

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
from training.data.utterance import Span, Utterance
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


def make_sound_triplet(kind: Kind, scene: Scene) -> Triplet:
    """An edit of the sound of a whole recording, or of nothing at all."""
    return _MAKERS[kind](recording(scene), scene)


def recording(scene: Scene) -> Utterance:
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
    name = scene.choose([*sorted(NOISES), *(["crowd"] if scene.has_crowd else [])])
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
    name = scene.choose([name for name in SOUNDS if name != "crowd" or scene.has_crowd])
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
    return babble(num_samples, scene.rng, scene.crowd(count))


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
    Kind.NONE: _none,
}
