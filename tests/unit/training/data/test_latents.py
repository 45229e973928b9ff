"""Encoded recordings are what the tokenizer says of each alone, and an interrupted build goes on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_tokenizer import small_tokenizer
from training.data.latent_folder import LatentFolder
from training.data.latents import encode_corpus, encode_edits
from training.data.utterance import Span, Utterance, Voice
from uniaudio.errors import InvalidInputError
from uniaudio.tokenizer import AudioTokenizer

VOICE = Voice(name="a", engine="espeak-ng", language="en")


def waveform(seed: int, num_samples: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(num_samples, dtype=np.float32) * 0.1


@dataclass
class Recordings:
    """Forty short ones; asking for more than `fails_at` fails."""

    fails_at: int = 1000

    def __len__(self) -> int:
        return 40

    def utterance(self, index: int) -> Utterance:
        if index >= self.fails_at:
            raise OSError("the disk is gone")
        samples = waveform(index, 2000 + 37 * index)
        words = (Span("so", 0, 900), Span("it", 900, 2000))
        return Utterance(text=f"text {index}", voice=VOICE, waveform=samples, words=words)


@dataclass
class OneEdit:
    kind: str = "insert"
    instruction: str = "insert 'so' at the end"
    plan_text: str = "<cot_text>it</cot_text>"
    source_text: str = "it"
    target_text: str = "it so"
    target_region: tuple[float, float] | None = (0.1, 0.2)
    boundary_error_seconds: float | None = 0.012
    target_words: tuple[Span, ...] = (Span("so", 320, 6400),)

    @property
    def source(self) -> np.ndarray:
        return waveform(1, 2000)

    @property
    def target(self) -> np.ndarray:
        return waveform(2, 3300)


class Edits:
    def __len__(self) -> int:
        return 1

    def edit(self, index: int) -> OneEdit:
        return OneEdit()


@pytest.fixture(scope="module")
def tokenizer() -> AudioTokenizer:
    return small_tokenizer().requires_grad_(False)


def test_frames_are_the_tokenizers_and_fill_whole_patches(tokenizer: AudioTokenizer, tmp_path: Path) -> None:
    corpus = Recordings()
    folder = encode_corpus(corpus, tokenizer, tmp_path, quiet=True)
    assert len(folder) == 40
    for index in (0, 17, 39):
        spoken = corpus.utterance(index)
        frames = folder.num_frames(index)
        assert frames % 5 == 0
        assert 0 <= frames * tokenizer.hop_length - len(spoken.waveform) < 5 * tokenizer.hop_length
        padded = np.zeros(frames * tokenizer.hop_length, np.float32)
        padded[: len(spoken.waveform)] = spoken.waveform
        expected = tokenizer.encode(torch.from_numpy(padded)[None])
        stored = folder.posterior(index)
        np.testing.assert_allclose(stored.mean, expected.mean[0], rtol=2e-3, atol=2e-3)
        np.testing.assert_allclose(stored.std, expected.std[0], rtol=2e-3, atol=2e-3)
        assert np.array_equal(folder.posterior(index, 5).mean, stored.mean[:5])
        assert (folder.text(index), folder.voice(index)) == (spoken.text, "a")
        assert folder.words(index) == spoken.words
        assert folder.language(index) == "English"


def test_an_interrupted_build_goes_on(tokenizer: AudioTokenizer, tmp_path: Path) -> None:
    whole = encode_corpus(Recordings(), tokenizer, tmp_path / "whole", quiet=True)
    stopped = tmp_path / "stopped"
    with pytest.raises(OSError, match="disk"):
        encode_corpus(Recordings(fails_at=36), tokenizer, stopped, quiet=True)
    with pytest.raises(InvalidInputError, match="to the end"):
        LatentFolder.open(stopped)
    with (stopped / "frames.f16").open("ab") as frames, (stopped / "index.jsonl").open("ab") as index:
        frames.write(b"half a batch")
        index.write(b'{"offset": 1, "fra')
    resumed = encode_corpus(Recordings(), tokenizer, stopped, quiet=True)
    for name in ("frames.f16", "index.jsonl", "latents.json"):
        assert (resumed.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_another_encoder_is_refused(tokenizer: AudioTokenizer, tmp_path: Path) -> None:
    encode_corpus(Recordings(), tokenizer, tmp_path, quiet=True)
    with pytest.raises(InvalidInputError, match="encoder differ"):
        encode_corpus(Recordings(), small_tokenizer(seed=5), tmp_path, quiet=True)


def test_edits_keep_both_recordings_and_their_region_in_frames(
    tokenizer: AudioTokenizer, tmp_path: Path
) -> None:
    folder = encode_edits(Edits(), tokenizer, tmp_path, quiet=True)
    entry = folder.entry(0)
    assert entry.instruction == OneEdit.instruction
    rate = tokenizer.frame_rate
    assert entry.target_region == (round(0.1 * rate), round(0.2 * rate))
    assert entry.boundary_error_seconds == 0.012
    assert entry.target_words == (Span("so", 320, 6400),)
    assert (len(folder.source(0).mean), len(folder.target(0).mean)) == (
        entry.source_frames,
        entry.target_frames,
    )
    assert not np.array_equal(folder.source(0).mean[:5], folder.target(0).mean[:5])


def test_edits_encoded_without_boundary_errors_are_refused(tokenizer: AudioTokenizer, tmp_path: Path) -> None:
    folder = encode_edits(Edits(), tokenizer, tmp_path, quiet=True).folder
    for name in ("encoder.json", "latents.json"):
        described = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**described, "format": 1}))
    line = json.loads((folder / "index.jsonl").read_text())
    del line["boundary_error_seconds"]
    (folder / "index.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(InvalidInputError, match=r"format differ\); remove it"):
        encode_edits(Edits(), tokenizer, tmp_path, quiet=True)
    with pytest.raises(InvalidInputError, match="encode them anew"):
        LatentFolder.open(folder)
