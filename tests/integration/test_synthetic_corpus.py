"""The corpus as espeak-ng and flite really speak it."""

import shutil

import numpy as np
import pytest

from tests.synthesisers import needs_synthesisers
from training.data.corpus import Corpus, CorpusConfig, Speakers, build_corpus, draw_utterance
from training.data.drawn_voices import drawn_voice
from training.data.espeak import EspeakSpeaker
from training.data.flite import FliteSpeaker
from training.data.voices import TRAINING_VOICES
from uniaudio.errors import InvalidInputError

pytestmark = needs_synthesisers
ESPEAK_VOICE = TRAINING_VOICES[0]
FLITE_VOICE = TRAINING_VOICES[-1]


@pytest.fixture(scope="module")
def espeak():
    with EspeakSpeaker() as speaker:
        yield speaker


def test_the_same_words_sound_the_same_whatever_was_said_between(espeak):
    first = espeak.speak("the old farmer carried seven baskets", ESPEAK_VOICE)
    espeak.speak("something else", TRAINING_VOICES[5])
    again = espeak.speak("the old farmer carried seven baskets", ESPEAK_VOICE)
    np.testing.assert_array_equal(first.waveform, again.waveform)
    assert first.words == again.words


def test_drawn_voices_are_people_of_their_own(espeak):
    said = "the old farmer carried seven baskets"
    first, second = (espeak.speak(said, drawn_voice(number)) for number in (1, 2))
    assert [word.label for word in first.words] == said.split()
    assert not np.array_equal(first.waveform[:8000], second.waveform[:8000])
    np.testing.assert_array_equal(espeak.speak(said, drawn_voice(1)).waveform, first.waveform)


def test_most_of_a_corpus_may_be_by_drawn_voices(tmp_path):
    config = CorpusConfig(seed=3, train=12, dev=4, test=1, test_new_voice=1, drawn_voices=100)
    build_corpus(tmp_path, config, processes=1, quiet=True)
    drawn = [name for name in Corpus.open(tmp_path, "train").by_voice if name.startswith("drawn-")]
    assert len(drawn) > 4
    assert not [name for name in Corpus.open(tmp_path, "dev").by_voice if name.startswith("drawn-")]


def test_words_lie_in_order_and_sound(espeak):
    spoken = espeak.speak("the old farmer carried seven baskets", ESPEAK_VOICE)
    assert [word.label for word in spoken.words] == spoken.text.split()
    assert all(a.end == b.start for a, b in zip(spoken.words, spoken.words[1:], strict=False))
    loudness = [np.sqrt(np.mean(spoken.waveform[w.start : w.end] ** 2)) for w in spoken.words]
    assert min(loudness) > 0.01


def test_fused_words_share_their_time(espeak):
    spoken = espeak.speak("a picture of the market", ESPEAK_VOICE)
    times = {word.label: (word.start, word.end) for word in spoken.words}
    assert times["of"] == times["the"]


def test_flite_tells_words_apart():
    spoken = FliteSpeaker().speak("the old farmer carried seven baskets", FLITE_VOICE)
    assert [word.label for word in spoken.words] == spoken.text.split()
    assert all(word.end > word.start for word in spoken.words)
    assert spoken.words[-1].end <= len(spoken.waveform)


@pytest.mark.parametrize("text", ["", "?!", "word " * 500])
def test_what_cannot_be_spoken_is_refused(espeak, text):
    with pytest.raises(InvalidInputError, match="cannot be spoken"):
        espeak.speak(text, ESPEAK_VOICE)


def test_a_build_goes_on_where_it_stopped_and_gives_the_same(tmp_path):
    config = CorpusConfig(seed=7, train=6, dev=2, test=2, test_new_voice=2)
    build_corpus(tmp_path / "a", config, processes=1, quiet=True)
    (tmp_path / "b").mkdir()
    for name in ("train-00000.npy", "train-00000.jsonl"):
        shutil.copy(tmp_path / "a" / name, tmp_path / "b" / name)
    build_corpus(tmp_path / "b", config, processes=2, quiet=True)
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_corpus_reads_back_what_was_spoken(tmp_path):
    config = CorpusConfig(seed=3, train=3, dev=1, test=1, test_new_voice=1)
    build_corpus(tmp_path, config, processes=1, quiet=True)
    corpus = Corpus.open(tmp_path, "train")
    with Speakers() as speakers:
        spoken = draw_utterance(speakers, 3, "train", 2)
    stored = corpus.utterance(2)
    assert (stored.text, stored.voice, stored.words) == (spoken.text, spoken.voice, spoken.words)
    np.testing.assert_allclose(stored.waveform, spoken.waveform, atol=1e-4)
    np.testing.assert_array_equal(corpus.waveform(2, 1000, 3000), stored.waveform[1000:3000])
    assert sum(map(len, corpus.by_voice.values())) == len(corpus) == 3


def test_no_corpus_and_another_corpus_are_named(tmp_path):
    with pytest.raises(InvalidInputError, match="no corpus there"):
        Corpus.open(tmp_path, "train")
    small = CorpusConfig(seed=3, train=1, dev=1, test=1, test_new_voice=1)
    build_corpus(tmp_path, small, processes=1, quiet=True)
    with pytest.raises(InvalidInputError, match="another corpus"):
        build_corpus(tmp_path, CorpusConfig(seed=4), processes=1, quiet=True)
