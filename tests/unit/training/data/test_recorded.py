"""Recordings of a manifest: the stretches that are asked for, and noise that is the same for the same item."""

import pytest
import torch

from tests.recordings_on_disk import write_hums
from training.config import BuildContext
from training.data.pipeline import Stretch, load_batch
from training.data.recorded import NoiseMixing, RecordedCorpora, RecordedCorpus
from uniaudio.errors import InvalidInputError

ALWAYS = NoiseMixing(share=1.0, snr_db=(5.0, 5.0))


@pytest.fixture
def corpus(tmp_path):
    manifest = write_hums(tmp_path / "train.jsonl", [0.5, 1.0, 0.8])
    noises = write_hums(tmp_path / "noise.jsonl", [0.7])
    return RecordedCorpus(manifest, load_batch, noises=noises, mixing=ALWAYS, seed=1)


def test_lengths_and_texts_are_known_without_audio(corpus):
    assert len(corpus) == 3
    assert [corpus.num_samples(index) for index in range(3)] == [8000, 16000, 12800]
    assert (corpus.text(1), corpus.phones(1)) == ("Hum, höre!", ())


def test_a_stretch_is_the_frames_that_it_touches(corpus):
    whole = corpus.load([Stretch(index=1)]).waveforms[0]
    part = corpus.load([Stretch(index=1, start=3 * 320 + 7, stop=5 * 320 + 1)])
    assert part.lengths.tolist() == [3 * 320]
    assert torch.equal(part.waveforms[0], whole[3 * 320 : 6 * 320])


def test_many_stretches_keep_their_order_and_are_padded_with_silence(corpus):
    loaded = corpus.load([Stretch(index=index % 3) for index in range(40)])
    assert loaded.lengths.tolist() == [(8000, 16000, 12800)[index % 3] for index in range(40)]
    assert loaded.waveforms.shape == (40, 16000)
    assert torch.equal(loaded.waveforms[39], loaded.waveforms[0])
    assert not loaded.waveforms[0, 8000:].any()
    assert corpus.load([]).waveforms.shape == (0, 0)


def test_noise_depends_on_the_item_and_on_nothing_else(corpus):
    clean = corpus.load([Stretch(index=0)]).waveforms
    first, again = (corpus.load([Stretch(index=0, number=7)]).waveforms for _ in range(2))
    beside = corpus.load([Stretch(index=1, number=6), Stretch(index=0, number=7)]).waveforms[1:, :8000]
    assert torch.equal(first, again)
    assert torch.equal(first, beside)
    assert not torch.equal(first, corpus.load([Stretch(index=0, number=8)]).waveforms)
    ratio = clean.square().mean() / (first - clean).square().mean()
    assert 10 * torch.log10(ratio).item() == pytest.approx(5.0, abs=0.01)


def test_what_is_looked_at_has_no_noise(tmp_path, corpus):
    write_hums(tmp_path / "dev.jsonl", [0.5])
    context = BuildContext(seed=0, device="cpu", data=tmp_path.parent, runs=tmp_path)
    corpora = RecordedCorpora(folder=tmp_path.name, pipeline="plain", mixing=ALWAYS)
    clean, item = Stretch(index=0), Stretch(index=0, number=3)
    train, held_out = (corpora.open(context, split) for split in ("train", "dev"))
    assert torch.equal(held_out.load([item]).waveforms, held_out.load([clean]).waveforms)
    assert not torch.equal(train.load([item]).waveforms, train.load([clean]).waveforms)
    with pytest.raises(InvalidInputError, match=r"test\.jsonl is missing"):
        corpora.open(context, "test")


def test_dali_gives_what_the_plain_pipeline_gives(tmp_path):
    write_hums(tmp_path / "train.jsonl", [0.5, 1.0, 0.8], sample_rate=24000)
    write_hums(tmp_path / "noise.jsonl", [0.3])
    context = BuildContext(seed=0, device="cpu", data=tmp_path.parent, runs=tmp_path)
    asked = [Stretch(index=index, number=index) for index in (2, 0, 1)]
    plain, dali = (
        RecordedCorpora(folder=tmp_path.name, pipeline=pipeline, mixing=ALWAYS)
        .open(context, "train")
        .load(asked)
        for pipeline in ("plain", "dali")
    )
    assert dali.lengths.tolist() == plain.lengths.tolist()
    torch.testing.assert_close(dali.waveforms, plain.waveforms, rtol=0, atol=2e-4)
