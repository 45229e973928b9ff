"""Batches are bounded, hold every item once an epoch, and are a pure function of seed and step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.packing import LengthBatches
from uniaudio.errors import InvalidInputError, LimitExceededError

LENGTHS = np.random.default_rng(0).integers(50, 1500, 400)


@given(
    lengths=st.lists(st.integers(1, 300), min_size=1, max_size=60),
    seed=st.integers(0, 2**31),
    max_total=st.integers(300, 2000),
    max_items=st.none() | st.integers(1, 5),
)
def test_every_epoch_has_every_item_once_within_the_bound(lengths, seed, max_total, max_items):
    batches = LengthBatches(np.array(lengths), max_total=max_total, seed=seed, max_items=max_items)
    for epoch in range(2):
        steps = range(epoch * batches.batches_per_epoch, (epoch + 1) * batches.batches_per_epoch)
        chosen = [batches.batch(step) for step in steps]
        assert sorted(np.concatenate(chosen)) == list(range(len(lengths)))
        for items in chosen:
            found = [lengths[item] for item in items]
            assert len(found) * max(found) <= max_total
            assert len(found) <= (max_items or len(found))
            assert found == sorted(found, reverse=True)


def test_a_batch_depends_on_seed_and_step_alone():
    first, second = (LengthBatches(LENGTHS, max_total=8000, seed=3) for _ in range(2))
    for step in (1000, 3, 0, 17, 1000):
        assert np.array_equal(first.batch(step), second.batch(step))
    other = LengthBatches(LENGTHS, max_total=8000, seed=4)
    assert any(not np.array_equal(first.batch(step), other.batch(step)) for step in range(5))


def test_epochs_differ_in_order_and_company():
    batches = LengthBatches(LENGTHS, max_total=8000, seed=3)
    epochs = [
        [
            tuple(batches.batch(step + epoch * batches.batches_per_epoch))
            for step in range(batches.batches_per_epoch)
        ]
        for epoch in range(2)
    ]
    assert epochs[0] != epochs[1]
    assert set(map(frozenset, epochs[0])) != set(map(frozenset, epochs[1]))


def test_little_is_padding():
    assert LengthBatches(LENGTHS, max_total=8000, seed=0).padding() < 0.1
    assert LengthBatches(LENGTHS, max_total=8000, seed=0, ratio=1000.0).padding() > 0.3


def test_what_cannot_be_packed_is_refused():
    with pytest.raises(LimitExceededError, match="item 1 has length 90, a batch holds 80"):
        LengthBatches(np.array([10, 90]), max_total=80, seed=0)
    for wrong in ([], [0, 1], [[1]]):
        with pytest.raises(InvalidInputError, match="all above 0"):
            LengthBatches(np.array(wrong), max_total=80, seed=0)
    with pytest.raises(InvalidInputError, match=r"ratio is 1\.0"):
        LengthBatches(np.array([1]), max_total=80, seed=0, ratio=1.0)
