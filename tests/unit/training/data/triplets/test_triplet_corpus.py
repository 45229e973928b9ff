"""Triplets on disk: the same bytes however the work was divided or stopped, and read back as they were."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.data.speakers import VOICE, ToneSpeaker
from training.data.boundaries import AlignmentGateError, by_synthesis
from training.data.grammar import split_of, vocabulary
from training.data.triplets.checks import check_triplet
from training.data.triplets.corpus import TripletCorpusConfig, draw, write_corpus
from training.data.triplets.make import make_triplet
from training.data.triplets.manifest import read_rows, read_triplet
from training.data.triplets.source import OpenSynthetic, Synthetic
from training.data.triplets.splits import NEW_WORDS, splits
from training.data.triplets.triplet import Kind
from training.data.utterance import Span
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES
from uniaudio.errors import InvalidInputError

CONFIG = TripletCorpusConfig(count=11, held_out_count=0, seed=3, block=4)


def write(folder, config=CONFIG, **more):
    return write_corpus(folder, config, Synthetic(ToneSpeaker), gate_boundaries=0, quiet=True, **more)


def digest(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("triplets")
    return folder, write(folder)


def test_every_kind_is_written_with_hashes_and_checks(corpus):
    folder, manifest = corpus
    rows = list(read_rows(manifest))
    assert [row["edit"]["op"] for row in rows] == [kind.value for kind in Kind]
    for row in rows:
        assert row["checks"]["passed"]
        assert row["split"] == "train"
        for side in ("source", "target"):
            content = (folder / row[f"{side}_audio"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row["sha256"][side]


def test_a_triplet_is_read_back_as_it_was_drawn(corpus):
    folder, manifest = corpus
    for index, row in enumerate(read_rows(manifest)):
        if row["edit"]["op"] == "pitch":
            continue
        drawn, _, _ = draw(OpenSynthetic(ToneSpeaker()), "train", CONFIG.seed, index)
        read = read_triplet(row, folder)
        assert (read.kind, read.method, read.instruction) == (drawn.kind, drawn.method, drawn.instruction)
        assert read.edit == drawn.edit
        assert (read.plan_text, read.reasoning) == (drawn.plan_text, drawn.reasoning)
        assert (read.source_region, read.target_region) == (drawn.source_region, drawn.target_region)
        for side in ("source", "target"):
            one, other = getattr(read, side), getattr(drawn, side)
            assert (one.text, one.words, one.voice) == (other.text, other.words, other.voice)
            np.testing.assert_allclose(one.waveform, other.waveform, atol=1 / 32768)


def test_a_stopped_build_goes_on_to_the_same_bytes(corpus, tmp_path):
    whole = digest(corpus[0])
    write(tmp_path)
    for path in (tmp_path / "manifest.jsonl", *tmp_path.glob("rows/*-00001.jsonl")):
        path.unlink()
    kept = (tmp_path / "rows/train-00000.jsonl").stat().st_mtime_ns
    write(tmp_path)
    assert digest(tmp_path) == whole
    assert (tmp_path / "rows/train-00000.jsonl").stat().st_mtime_ns == kept


def test_several_processes_write_the_same_bytes(tmp_path):
    config = replace(CONFIG, count=4, block=2)
    write(tmp_path / "one", config)
    write(tmp_path / "two", config, processes=2)
    assert digest(tmp_path / "one") == digest(tmp_path / "two")


def test_a_folder_of_other_triplets_is_refused(corpus):
    with pytest.raises(InvalidInputError, match="holds other triplets"):
        write(corpus[0], replace(CONFIG, seed=4))


def test_a_row_with_other_fields_is_named(corpus, tmp_path):
    row = next(read_rows(corpus[1]))
    del row["seed"]
    (tmp_path / "manifest.jsonl").write_text(json.dumps(row))
    with pytest.raises(InvalidInputError, match=r"manifest\.jsonl:1 .*seed"):
        list(read_rows(tmp_path / "manifest.jsonl"))


def test_word_times_that_are_off_stop_the_build(tmp_path):
    with pytest.raises(AlignmentGateError, match="not exact enough"):
        write_corpus(tmp_path, CONFIG, Synthetic(Late), gate_boundaries=40, quiet=True)
    assert (tmp_path / "alignment.html").is_file()
    assert not (tmp_path / "rows").exists()


class Late(ToneSpeaker):
    """A speaker whose template is right and whose own times are 80 ms late."""

    def speak(self, text, voice):
        spoken = super().speak(text, voice)
        if voice.name.startswith("template"):
            return spoken
        words = tuple(Span(word.label, word.start + 1280, word.end + 1280) for word in spoken.words)
        return replace(spoken, words=words)


def test_an_item_cut_at_a_wrong_place_does_not_pass():
    rng = np.random.default_rng(1)
    triplets = (make_triplet(Kind.INSERT, Late(), splits()["train"].sentences, VOICE, rng) for _ in range(20))
    cut = next(t for t in triplets if t.method == "splice" and t.cuts[0][1] > 0)
    checks = check_triplet(cut, by_synthesis(Late()))
    assert checks.boundary_max_ms > 50
    assert not checks.passed


def test_splits_share_no_sentence_no_held_out_voice_and_no_held_out_wording():
    made, rng = splits(), np.random.default_rng(0)
    training_voices = {voice.name for voice in TRAINING_VOICES}
    for name, expected in (
        ("train", "train"),
        ("dev", "dev"),
        ("test-seen", "test"),
        ("test-new-voice", "test"),
    ):
        assert {split_of(made[name].sentences.sentence(rng)) for _ in range(30)} == {expected}
    assert made["test-new-voice"].voices == HELD_OUT_VOICES
    assert not training_voices & {voice.name for voice in HELD_OUT_VOICES}
    assert all(wording.held_out for wording in made["test-new-wording"].wordings)
    assert not any(
        wording.held_out for name in made if name != "test-new-wording" for wording in made[name].wordings
    )


def test_drawn_voices_are_trained_on_and_tested_by_nobody():
    source, rng = OpenSynthetic(ToneSpeaker(), drawn_voices=50), np.random.default_rng(0)
    names = {
        split: [source.scene(split, Kind.INSERT, rng).voice.name for _ in range(40)]
        for split in ("train", "dev", "test-new-voice")
    }
    drawn = {split: sum(name.startswith("drawn-") for name in found) for split, found in names.items()}
    assert drawn["train"] > 20
    assert drawn["dev"] == drawn["test-new-voice"] == 0


def test_new_words_are_new_and_in_every_sentence():
    new = {word for words in NEW_WORDS.values() for word in words}
    assert not new & set(vocabulary())
    rng = np.random.default_rng(0)
    for _ in range(30):
        assert new & set(splits()["test-new-words"].sentences.sentence(rng).split())
