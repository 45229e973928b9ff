"""Sentences of the grammar: in their split, made of its words, wide enough to be called free."""

import itertools

import numpy as np
import pytest

from training.data.grammar import Grammar, split_of, vocabulary
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES, as_spoken


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_sentences_belong_to_their_split_and_hold_known_words(split):
    rng, grammar, known = np.random.default_rng(1), Grammar(split), set(vocabulary())
    sentences = [grammar.sentence(rng) for _ in range(200)]
    assert {split_of(sentence) for sentence in sentences} == {split}
    assert known.issuperset(word for sentence in sentences for word in sentence.split())
    assert all(4 <= len(sentence.split()) <= 16 for sentence in sentences)


def test_there_are_over_500_words_and_hardly_a_sentence_comes_twice():
    rng, grammar = np.random.default_rng(2), Grammar()
    assert len(vocabulary()) >= 500
    sentences = [grammar.sentence(rng) for _ in range(500)]
    assert len(set(sentences)) > 490


def test_an_stands_before_vowels():
    rng, grammar = np.random.default_rng(3), Grammar()
    words = [grammar.sentence(rng).split() for _ in range(300)]
    pairs = [pair for sentence in words for pair in itertools.pairwise(sentence)]
    assert all(
        (after[0] in "aeiou") == (article == "an") for article, after in pairs if article in ("a", "an")
    )


def test_held_out_voices_are_nobody_from_training():
    assert len(TRAINING_VOICES) >= 30
    assert len(HELD_OUT_VOICES) == 5
    assert not {v.name for v in TRAINING_VOICES} & {v.name for v in HELD_OUT_VOICES}
    assert not {v.variant for v in TRAINING_VOICES} & {v.variant for v in HELD_OUT_VOICES}


def test_the_same_person_speaks_a_little_faster_or_slower():
    rng, voice = np.random.default_rng(0), TRAINING_VOICES[0]
    rates = {as_spoken(voice, rng).rate for _ in range(50)}
    assert len(rates) > 5
    assert all(0.9 * voice.rate < rate < 1.1 * voice.rate for rate in rates)
