"""The recogniser and the speaker encoder as networks: padding, decoding, snapping, folders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.evaluation.mel_net import MelNetConfig, log_mel, pad
from uniaudio.evaluation.recognizer import (
    ALPHABET,
    BLANK,
    Recognizer,
    RecognizerNet,
    greedy_texts,
    snap_words,
    to_labels,
)
from uniaudio.evaluation.speaker import EMBEDDING_DIM, SpeakerEncoder, SpeakerNet

TINY = MelNetConfig(num_mels=16, width=16, hidden=16, num_blocks=2, kernel_size=3)


def noise(num_samples: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(num_samples, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def recognizer() -> Recognizer:
    torch.manual_seed(0)
    return Recognizer(
        net=RecognizerNet(TINY).eval(), vocabulary=frozenset({"cat", "hat"}), floors={"plain": 0.01}
    )


def test_features_ignore_level_and_follow_the_hop() -> None:
    waveform = noise(16000)
    features = log_mel(waveform, 16)
    assert features.shape == (101, 16)
    torch.testing.assert_close(log_mel(0.1 * waveform, 16), features, atol=1e-3, rtol=0)
    assert len(log_mel(waveform, 16, hop_length=320)) == 51
    assert log_mel(torch.zeros(1600), 16).isfinite().all()


def test_a_recording_gives_the_same_in_company(recognizer: Recognizer) -> None:
    short, long = noise(5000, 1), noise(12345, 2)
    net = recognizer.net
    with torch.no_grad():
        together, lengths = net(*pad([log_mel(short, 16), log_mel(long, 16)]))
        alone, length = net(*pad([log_mel(short, 16)]))
    assert int(lengths[0]) == int(length[0]) == alone.shape[1]
    torch.testing.assert_close(together[0, : lengths[0]], alone[0])
    assert recognizer.transcribe([short, long])[0] == recognizer.transcribe([short])[0]

    speaker = SpeakerEncoder(net=SpeakerNet(TINY).eval())
    torch.testing.assert_close(speaker.embed([short, long])[:1], speaker.embed([short]))


def test_labels_are_the_texts_characters() -> None:
    assert "".join(ALPHABET[label] for label in to_labels("He's - here!")) == "he's here"


def test_greedy_decoding_merges_and_drops_blanks() -> None:
    path = [ALPHABET.index(c) for c in "aab"] + [BLANK, *(ALPHABET.index(c) for c in "b  c"), 5]
    table = torch.nn.functional.one_hot(torch.tensor([path]), BLANK + 1).float()
    assert greedy_texts(table, torch.tensor([len(path) - 1])) == ["abb c"]


def test_snapping_takes_the_only_near_word() -> None:
    known = frozenset({"elephant", "cat", "hat"})
    assert snap_words("elefant sat xyzzy cat", known) == "elephant sat xyzzy cat"


def test_folders(recognizer: Recognizer, tmp_path: Path) -> None:
    folder = recognizer.save(tmp_path / "judge", {"steps": 3})
    loaded = Recognizer.load(folder)
    assert (loaded.vocabulary, loaded.floors) == (recognizer.vocabulary, recognizer.floors)
    waveform = noise(8000)
    assert loaded.transcribe([waveform]) == recognizer.transcribe([waveform])
    with pytest.raises(CheckpointError, match="not a uniaudio-speaker-encoder"):
        SpeakerEncoder.load(folder)
    with pytest.raises(CheckpointError, match="missing"):
        Recognizer.load(tmp_path)
    assert json.loads((folder / "config.json").read_text())["about"] == {"steps": 3}


def test_vectors_are_of_unit_length() -> None:
    vectors = SpeakerEncoder(net=SpeakerNet(TINY).eval()).embed([noise(8000), noise(9000, 1)])
    assert vectors.shape == (2, EMBEDDING_DIM)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(2))


def test_sizes_are_checked() -> None:
    with pytest.raises(InvalidInputError, match="odd"):
        MelNetConfig(kernel_size=4)
    with pytest.raises(InvalidInputError, match="width"):
        MelNetConfig(width=0)


def test_default_sizes_are_small() -> None:
    sizes = [
        sum(parameter.numel() for parameter in net.parameters())
        for net in (
            RecognizerNet(MelNetConfig()),
            SpeakerNet(MelNetConfig(width=160, hidden=320, num_blocks=4)),
        )
    ]
    assert 700_000 <= sizes[0] <= 1_200_000
    assert sizes[1] <= 700_000
