"""The test set that the synthetic suite reads: held-out speech, and every kind of edit that it measures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.unit.training.data.speakers import ToneSpeaker
from training.data.augment.mix import active_power
from training.data.grammar import split_of
from training.data.test_set import DENOISE_DB, KINDS, write_test_set
from uniaudio.evaluation.recordings import read_recording
from uniaudio.evaluation.suites.synthetic_data import read_edits, read_speech


class Spoken:
    """Three recordings of one voice."""

    def __init__(self, voice: str) -> None:
        self._voice = voice

    def __len__(self) -> int:
        return 3

    def text(self, index: int) -> str:
        return f"text {index}"

    def voice(self, index: int) -> str:
        return self._voice

    def waveform(self, index: int) -> np.ndarray:
        return np.full(4000 + index, 0.1, np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set")
    write_test_set(out, Spoken("ada"), Spoken("bob"), ToneSpeaker(), num_speech=2, num_edits=3)
    return out


def test_speech_of_known_and_of_new_voices(folder: Path) -> None:
    rows = read_speech(folder)
    assert [(row.id, row.speaker, row.is_new_voice) for row in rows] == [
        ("known-0000", "ada", False), ("known-0001", "ada", False),
        ("new-0000", "bob", True), ("new-0001", "bob", True),
    ]  # fmt: skip
    assert len(read_recording(rows[1].audio)) == 4001


def test_edits_of_every_kind_on_held_out_sentences(folder: Path) -> None:
    rows = read_edits(folder)
    assert [row.edit_type for row in rows] == [kind.value for kind in KINDS] * 3
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.source.is_file()
        assert row.target.is_file()
        if row.edit_type in ("speed", "pitch", "volume"):
            assert row.value is not None
        if row.edit_type in ("delete", "insert", "substitute"):
            assert [word for word, _, _ in row.target_words] == row.target_text.split()
            assert "test" in (split_of(row.source_text), split_of(row.target_text))


def test_noise_is_as_loud_as_the_aims_say(folder: Path) -> None:
    noisy = [row for row in read_edits(folder) if row.edit_type == "denoise"]
    assert {row.snr_db for row in noisy} == {DENOISE_DB}
    for row in noisy:
        source, target = read_recording(row.source), read_recording(row.target)
        ratio = 10 * np.log10(active_power(target) / active_power(source - target))
        assert ratio == pytest.approx(DENOISE_DB, abs=0.5)
