"""KeSpeech, SlideSpeech and any Kaldi folder: whole recordings, and segments of long ones."""

import numpy as np
import pytest
import soundfile

from tests.recordings import write_recording, write_text
from training.data.readers import read_corpus
from training.data.recording import read_mono
from uniaudio.errors import InvalidInputError


def read(name, folder):
    rows, collector = read_corpus(name, folder)
    return list(rows), collector


def kespeech(folder):
    write_recording(folder / "Audio" / "1000001" / "phase1" / "a.wav", 0.3)
    data = folder / "Tasks" / "ASR" / "train_phase1"
    write_text(data / "wav.scp", "a Audio/1000001/phase1/a.wav\nb Audio/1000001/phase1/b.wav\n")
    write_text(data / "text", "a 你好<SPOKEN_NOISE>吗\nb 好\n")
    write_text(data / "utt2spk", "a 1000001\nb 1000001\n")
    write_text(data / "utt2subdialect", "a Zhongyuan\nb Mandarin\n")
    return data


def test_kespeech(tmp_path):
    kespeech(tmp_path)
    (row,), collector = read("kespeech", tmp_path)
    assert (row.text, row.speaker, row.dialect, row.split) == (
        "你好吗",
        "1000001",
        "Zhongyuan",
        "train_phase1",
    )
    assert collector.skipped == {"the recording is missing": 1}


def slidespeech(folder, segments):
    write_recording(folder / "dev" / "wav" / "A" / "talk.wav", 4.0)
    data = folder / "dev"
    write_text(data / "wav.scp", "talk dev/wav/A/talk.wav\n")
    write_text(data / "segments", segments)
    write_text(data / "text", "u1 HELLO\nu2 WORLD\nu3 X\nu4 Y\nu5 Z\n")


def test_segments_are_stretches_of_their_recording(tmp_path):
    slidespeech(
        tmp_path, "u1 talk 0.5 1.25\nu2 talk 3.0 4.05\nu3 talk 3.0 4.5\nu4 talk 2.0 2.0\nu5 none 0 1\n"
    )
    rows, collector = read("slidespeech", tmp_path)
    assert [(row.id, row.text, row.start_sample, row.num_samples) for row in rows] == [
        ("u1", "HELLO", 8000, 12000),
        ("u2", "WORLD", 48000, 16000),
    ]
    assert collector.skipped == {
        "the segment ends after the recording": 1,
        "the segment holds nothing": 1,
        "its recording is not in wav.scp": 1,
    }
    whole, _ = soundfile.read(rows[0].audio, dtype="float32")
    assert np.array_equal(read_mono(rows[0], rows[0].start_sample, rows[0].num_samples), whole[8000:20000])


@pytest.mark.parametrize("line", ["u1 talk 0.5", "u1 talk a b", "u1 talk 0 1 2"])
def test_a_broken_segment_is_named(tmp_path, line):
    slidespeech(tmp_path, f"u1 talk 0 1\n{line}\n")
    with pytest.raises(
        InvalidInputError, match=r"segments:2: .*'utterance recording start_s end_s' is needed"
    ):
        read("slidespeech", tmp_path)


def test_a_command_instead_of_a_file_is_refused(tmp_path):
    data = kespeech(tmp_path)
    (data / "wav.scp").write_text("a sph2pipe -f wav a.sph |\n")
    with pytest.raises(InvalidInputError, match=r"'a' is a command \(sph2pipe.*write its output"):
        read("kespeech", tmp_path)


@pytest.mark.parametrize("name", ["kespeech", "slidespeech"])
def test_another_folder_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match=r"has no .*wav\.scp"):
        read(name, tmp_path)
