"""Several corpora as one."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.training.fake_latents import FakeCorpus
from training.data.joined_latents import JoinedLatents
from uniaudio.errors import InvalidInputError


def test_all_utterances_are_there_in_order() -> None:
    parts = FakeCorpus(), FakeCorpus()
    joined = JoinedLatents(parts)
    size = len(parts[0])
    assert len(joined) == 2 * size
    for index in (0, size - 1, size, 2 * size - 1):
        part, place = parts[index // size], index % size
        assert joined.text(index) == part.text(place)
        assert joined.voice(index) == part.voice(place)
        assert joined.language(index) == part.language(place)
        assert joined.words(index) == part.words(place)
        assert joined.num_frames(index) == part.num_frames(place)
        assert np.array_equal(joined.posterior(index).mean, part.posterior(place).mean)
        assert len(joined.posterior(index, 5).mean) == 5


def test_corpora_of_two_tokenizers_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="one tokenizer"):
        JoinedLatents((FakeCorpus(), FakeCorpus(latent_dim=7)))
