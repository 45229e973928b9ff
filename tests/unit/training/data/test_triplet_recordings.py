"""Triplets on the disk become edits to encode: recordings, the published plan, the region in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.small_tokenizer import small_tokenizer
from tests.unit.training.data.speakers import ToneSpeaker
from training.data.latents import encode_edits
from training.data.triplet_recordings import TripletRecordings
from training.data.triplets.corpus import TripletCorpusConfig, write_corpus
from training.data.triplets.manifest import read_rows, read_triplet
from training.data.triplets.source import Synthetic
from uniaudio.errors import InvalidInputError


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = TripletCorpusConfig(count=11, held_out_count=0, seed=3)
    return write_corpus(
        tmp_path_factory.mktemp("triplets"), config, Synthetic(ToneSpeaker), gate_boundaries=0, quiet=True
    )


def test_an_edit_is_its_triplet(manifest: Path) -> None:
    recordings = TripletRecordings.open(manifest, "train")
    assert len(recordings) == 11
    for index, row in enumerate(read_rows(manifest)):
        triplet, edit = read_triplet(row, manifest.parent), recordings.edit(index)
        assert np.array_equal(edit.source, triplet.source.waveform)
        assert np.array_equal(edit.target, triplet.target.waveform)
        assert (edit.kind, edit.instruction) == (row["edit"]["op"], row["instruction"])
        assert bool(edit.plan_text) is triplet.kind.changes_words
        assert edit.target_region == (tuple(row["target_region"]) if row["target_region"] else None)
        error_ms = row["checks"]["boundary_max_ms"]
        assert edit.boundary_error_seconds == (None if error_ms is None else pytest.approx(error_ms / 1000))


def test_encoded_they_are_ready_to_train_on(manifest: Path, tmp_path: Path) -> None:
    tokenizer = small_tokenizer().requires_grad_(False)
    folder = encode_edits(TripletRecordings.open(manifest, "train"), tokenizer, tmp_path, quiet=True)
    for index in range(len(folder)):
        entry = folder.entry(index)
        assert entry.plan_text.startswith("<cot_text>") or not entry.plan_text
        assert len(folder.source(index).mean) == entry.source_frames
        assert len(folder.target(index).mean) == entry.target_frames
        if entry.target_region is not None:
            assert 0 <= entry.target_region[0] <= entry.target_region[1] <= entry.target_frames


def test_an_empty_split_is_refused(manifest: Path) -> None:
    with pytest.raises(InvalidInputError, match="it has: train"):
        TripletRecordings.open(manifest, "test")
