"""Triplets from espeak-ng itself: its word times pass the gate, and its triplets say what their texts say."""

import numpy as np
import pytest

from training.data.alignment_gate import check_alignment
from training.data.boundaries import by_synthesis
from training.data.espeak import EspeakSpeaker
from training.data.grammar import Grammar
from training.data.triplets.checks import check_triplet
from training.data.triplets.make import make_triplet
from training.data.triplets.triplet import Kind
from training.data.triplets.understanding import is_understood
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES

VOICES = [voice for voice in (*TRAINING_VOICES, *HELD_OUT_VOICES) if voice.engine == "espeak-ng"]


@pytest.fixture(scope="module")
def speaker():
    with EspeakSpeaker() as speaker:
        yield speaker


def test_word_times_pass_the_gate(speaker, tmp_path):
    rng, grammar = np.random.default_rng(0), Grammar("dev")
    spoken = (speaker.speak(grammar.sentence(rng), VOICES[rng.integers(len(VOICES))]) for _ in range(100))
    quality = check_alignment(spoken, by_synthesis(speaker), tmp_path / "alignment.html", needed=100)
    assert quality.share_within(20) >= 0.95


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.PITCH])
def test_a_triplet_passes_its_checks_is_understood_and_repeats(speaker, kind):
    def draw():
        return make_triplet(
            kind, speaker, Grammar("dev"), VOICES[0], np.random.default_rng(4), others=VOICES[1:8]
        )

    one, again = draw(), draw()
    assert check_triplet(one, by_synthesis(speaker)).passed
    assert is_understood(one)
    for side in ("source", "target"):
        assert getattr(one, side).waveform.tobytes() == getattr(again, side).waveform.tobytes()
