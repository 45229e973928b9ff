"""Edits of sound: targets are exact, instructions are understood, and what must stay stays."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.data.speakers import VOICE, ListGrammar, ToneSpeaker
from training.data.augment.mix import active_power
from training.data.triplets.acoustic import SEMITONES, SOUNDS, SPEEDS, VOLUMES
from training.data.triplets.acted import ACCENTS, MOODS
from training.data.triplets.instructions import named_instruction, value_instruction, wordings
from training.data.triplets.make import make_triplet
from training.data.triplets.spoken_scene import kinds_for
from training.data.triplets.triplet import Kind
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.plan import EditKind
from uniaudio.errors import InvalidInputError

VALUES = {Kind.SPEED: SPEEDS, Kind.PITCH: SEMITONES, Kind.VOLUME: VOLUMES}
NAMES = {
    Kind.DENOISE: (EditKind.DENOISE, [""]),
    Kind.ADD_SOUND: (EditKind.BACKGROUND, list(SOUNDS)),
    Kind.EMOTION_PROXY: (EditKind.EMOTION, list(MOODS)),
    Kind.ACCENT_PROXY: (EditKind.DIALECT, list(ACCENTS)),
}
POOLS = {
    f"{language}-{'held-out' if held_out else 'trained'}": wordings(held_out=held_out, languages=[language])
    for language in ("en", "zh")
    for held_out in (False, True)
}
OTHERS = tuple(replace(VOICE, name=f"other-{number}", pitch=30 + number) for number in range(8))


def draw(kind, seed, voice=VOICE, **more):
    return make_triplet(kind, ToneSpeaker(), ListGrammar(), voice, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("kind", list(VALUES))
@pytest.mark.parametrize("pool", POOLS)
def test_every_value_is_understood_in_every_wording(kind, pool):
    for value in VALUES[kind]:
        for seed in range(12):
            said = value_instruction(kind, value, POOLS[pool], np.random.default_rng(seed))
            plan = parse_instruction(said.text)
            assert plan.kind is EditKind[kind.name], said.text
            assert plan.value == pytest.approx(value), said.text


@pytest.mark.parametrize("kind", list(NAMES))
@pytest.mark.parametrize("pool", POOLS)
def test_every_name_is_understood_in_every_wording(kind, pool):
    plan_kind, names = NAMES[kind]
    for name in names:
        for seed in range(12):
            said = named_instruction(kind, name, POOLS[pool], np.random.default_rng(seed))
            plan = parse_instruction(said.text)
            assert plan.kind is plan_kind, said.text
            assert plan.name == name, said.text


def test_speed_is_exact_in_length_and_carries_the_words():
    for seed in range(8):
        triplet = draw(Kind.SPEED, seed)
        num_samples = triplet.source.waveform.size
        assert triplet.target.waveform.size == round(num_samples / triplet.edit.value)
        assert triplet.target.words[-1].end == pytest.approx(
            triplet.source.words[-1].end / triplet.edit.value, abs=1
        )
        assert 0.5 <= triplet.edit.value <= 2.0
        assert triplet.edit.value != 1.0


def test_volume_scales_every_sample_and_never_clips():
    for seed in range(12):
        triplet = draw(Kind.VOLUME, seed)
        wanted = triplet.edit.value * triplet.source.waveform
        np.testing.assert_allclose(triplet.target.waveform, wanted, rtol=1e-5, atol=1e-7)
        assert np.abs(triplet.target.waveform).max() <= 0.951


def test_pitch_keeps_the_length():
    triplet = draw(Kind.PITCH, 0)
    assert triplet.target.waveform.size == triplet.source.waveform.size
    assert not np.array_equal(triplet.target.waveform, triplet.source.waveform)
    assert triplet.edit.value in {*range(-7, 0), *range(1, 8)}


@pytest.mark.parametrize("kind", [Kind.DENOISE, Kind.ADD_SOUND])
def test_noise_is_added_at_the_ratio_that_is_told(kind):
    for seed in range(8):
        triplet = draw(kind, seed, others=OTHERS)
        noisy, clean = (
            (triplet.source, triplet.target) if kind is Kind.DENOISE else (triplet.target, triplet.source)
        )
        assert noisy.text == clean.text
        assert np.abs(noisy.waveform).max() <= 0.951
        if "reverb" in triplet.edit.name:
            continue
        ratio = 10 * np.log10(active_power(clean.waveform) / active_power(noisy.waveform - clean.waveform))
        assert ratio == pytest.approx(triplet.edit.snr_db, abs=0.1)


def test_a_crowd_is_drawn_only_where_there_are_others():
    alone = {draw(Kind.ADD_SOUND, seed).edit.name for seed in range(16)}
    among = {draw(Kind.ADD_SOUND, seed, others=OTHERS).edit.name for seed in range(16)}
    assert alone == {"rain", "wind", "music"}
    assert among == {"rain", "wind", "music", "crowd"}


def test_proxies_change_the_voice_but_not_the_words():
    for kind in (Kind.EMOTION_PROXY, Kind.ACCENT_PROXY):
        for seed in range(6):
            triplet = draw(kind, seed)
            assert triplet.source.text == triplet.target.text
            assert triplet.source.voice != triplet.target.voice
            assert triplet.source.voice.name == triplet.target.voice.name


def test_a_voice_of_flite_is_refused_for_proxies_at_once():
    flite = replace(VOICE, engine="flite")
    assert set(Kind) - set(kinds_for(flite)) == {Kind.EMOTION_PROXY, Kind.ACCENT_PROXY}
    with pytest.raises(
        InvalidInputError, match=r"accent_proxy cannot be made here.*possible are insert, delete"
    ):
        draw(Kind.ACCENT_PROXY, 0, voice=flite)


def test_nothing_changes_where_nothing_is_asked():
    triplet = draw(Kind.NONE, 0)
    assert triplet.source is triplet.target
    assert triplet.target_region is None
    np.testing.assert_array_equal(triplet.frame_weights(10, 320), np.ones(10))


def test_some_sources_are_cut_though_no_words_are_edited():
    cut = 0
    for seed in range(24):
        triplet = draw(Kind.NONE, seed)
        cut += not np.array_equal(
            triplet.source.waveform, ToneSpeaker().speak(triplet.source.text, VOICE).waveform
        )
    assert 3 <= cut <= 16


@pytest.mark.parametrize("kind", [kind for kind in Kind if not kind.changes_words])
def test_the_same_seed_gives_the_same_bytes(kind):
    one, again = (draw(kind, 3, others=OTHERS) for _ in "ab")
    assert one.instruction == again.instruction
    assert one.edit == again.edit
    for side in ("source", "target"):
        assert getattr(one, side).waveform.tobytes() == getattr(again, side).waveform.tobytes()
