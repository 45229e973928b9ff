"""Plans of edits: drawn without end, each of them the edit that its instruction asks for."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from tests.unit.training.fake_latents import FakeCorpus, text_tokenizer
from training.data.plan_task import PlanTask, draw_edit
from training.data.triplets.triplet import Kind
from uniaudio.errors import InvalidInputError

SOURCE = ("the", "old", "man", "sold", "a", "red", "boat")
OTHER = ("we", "never", "saw", "such", "big", "fish")
TOKENIZER = text_tokenizer()


def test_every_kind_is_drawn_as_often_and_leaves_the_rest_alone() -> None:
    rng = np.random.default_rng(0)
    kinds: Counter[Kind] = Counter()
    for _ in range(600):
        edit = draw_edit(SOURCE, OTHER, rng)
        kinds[edit.kind] += 1
        assert edit.source == SOURCE
        assert len(edit.old) <= 3
        assert len(edit.new) <= 3
        assert " ".join(edit.new) in " ".join(OTHER)
        assert len(edit.target) >= 2
    assert kinds.keys() == {Kind.INSERT, Kind.DELETE, Kind.SUBSTITUTE}
    assert min(kinds.values()) > 150


def test_a_plan_is_written_and_nothing_is_spoken() -> None:
    corpus = FakeCorpus()
    task = PlanTask(corpus, TOKENIZER, seed=1)
    for number in range(20):
        planned = task.plan(number)
        sequence = planned.sequence
        assert sequence.num_targets == 0
        assert not sequence.audio_router
        (read,) = planned.readers
        assert len(read().mean) == sequence.num_patches * 5
        written = [sequence.token_ids[at] for at in sequence.labels]
        assert written[-1] == TOKENIZER.gen_audio_id
        text = TOKENIZER.decode(written)
        assert text.startswith("<cot_text>")
        assert "<edit>" in text
        assert "</cot_text>" in text


def test_the_same_number_gives_the_same_and_an_epoch_draws_anew() -> None:
    one, other = (PlanTask(FakeCorpus(), TOKENIZER, seed=1) for _ in range(2))
    drawn = [one.plan(number).sequence.token_ids for number in range(24)]
    assert drawn == [other.plan(number).sequence.token_ids for number in range(24)]
    assert len(set(drawn)) > 18


def test_a_pool_that_names_nothing_is_told() -> None:
    with pytest.raises(InvalidInputError, match="no place for an edit"):
        PlanTask(FakeCorpus(), TOKENIZER, seed=1, pool=()).plan(0)
