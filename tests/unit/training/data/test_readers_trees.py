"""LibriSpeech, AISHELL-1, AISHELL-3 and MagicData are read from the layouts of their archives."""

import pytest

from tests.recordings import write_recording, write_text
from training.data.readers import read_corpus
from uniaudio.errors import InvalidInputError


def read(name, folder):
    rows, collector = read_corpus(name, folder)
    return list(rows), collector


def librispeech(folder):
    chapter = folder / "LibriSpeech" / "dev-clean" / "84" / "121123"
    for number, seconds in enumerate((1.0, 0.5)):
        write_recording(chapter / f"84-121123-000{number}.flac", seconds)
    write_text(
        chapter / "84-121123.trans.txt",
        "84-121123-0000 GO  DO YOU\n84-121123-0001 HEAR\n84-121123-0002 LOST\n84-121123-0003\n",
    )
    return chapter


def test_librispeech(tmp_path):
    chapter = librispeech(tmp_path)
    rows, collector = read("librispeech", tmp_path)
    assert [(row.id, row.text, row.speaker, row.split, row.num_samples) for row in rows] == [
        ("84-121123-0000", "GO DO YOU", "84", "dev-clean", 16000),
        ("84-121123-0001", "HEAR", "84", "dev-clean", 8000),
    ]
    assert rows[0].audio == chapter / "84-121123-0000.flac"
    assert collector.skipped == {"the recording is missing": 1, "it has no text": 1}
    assert collector.examples["the recording is missing"] == [str(chapter / "84-121123-0002.flac")]


def test_librispeech_with_the_times_of_words(tmp_path):
    chapter = librispeech(tmp_path)
    alignments = write_text(
        chapter / "84-121123.alignment.txt",
        '84-121123-0000 ",GO,,DO,YOU," "0.10,0.30,0.35,0.50,0.90,1.0"\n84-121123-0001 ",HEAR" "0.2,0.9"\n',
    )
    rows, collector = read("librispeech", tmp_path / "LibriSpeech")
    assert rows[0].words == (("GO", 0.1, 0.3), ("DO", 0.35, 0.5), ("YOU", 0.5, 0.9))
    assert rows[1].words == ()
    assert collector.skipped["its word times end after it; the row is kept without them"] == 1
    for broken, told in (('x ",GO" "0.1"', "as many words as ends"), ('x "GO" "zero"', "ends in seconds")):
        alignments.write_text(broken)
        with pytest.raises(InvalidInputError, match=rf"alignment.txt:1: .*{told}"):
            read("librispeech", tmp_path)


def test_aishell1(tmp_path):
    for split, name in (("train", "S0002W0122"), ("test", "S0764W0121"), ("test", "S0764W0122")):
        write_recording(tmp_path / "data_aishell" / "wav" / split / name[:5] / f"BAC009{name}.wav", 0.2)
    transcript = tmp_path / "data_aishell" / "transcript" / "aishell_transcript_v0.8.txt"
    write_text(transcript, "BAC009S0002W0122 而 对 楼市\nBAC009S0764W0121 甚至 出现ｂ股\n")
    rows, collector = read("aishell1", tmp_path)
    assert [(row.split, row.speaker, row.text) for row in rows] == [
        ("test", "S0764", "甚至出现b股"),
        ("train", "S0002", "而对楼市"),
    ]
    assert collector.skipped == {"it has no text": 1}


def test_aishell3(tmp_path):
    write_recording(tmp_path / "train" / "wav" / "SSB0005" / "SSB00050001.wav", 0.2, 44100)
    content = write_text(tmp_path / "train" / "content.txt", "SSB00050001.wav\t广 guang3 州 zhou1 女 nv3\n")
    (row,), _ = read("aishell3", tmp_path)
    assert (row.id, row.text, row.speaker, row.split) == ("SSB00050001", "广州女", "SSB0005", "train")
    assert (row.sample_rate, row.num_samples) == (44100, 8820)
    content.write_text("SSB00050001.wav 广 guang3\n")
    with pytest.raises(
        InvalidInputError, match=r"content.txt:1: .*; '<id>.wav', a tab, .* is needed: restore"
    ):
        read("aishell3", tmp_path)


def test_magicdata(tmp_path):
    for name in ("5_541_20170607142131", "5_541_20170607142132"):
        write_recording(tmp_path / "dev" / "5_541" / f"{name}.wav", 0.2)
    lines = ["UtteranceID\tSpeakerID\tTranscription", "5_541_20170607142131.wav\t5_541\t[FIL]播放，老歌。"]
    write_text(
        tmp_path / "dev" / "TRANS.txt", "\r\n".join([*lines, "5_541_20170607142132.wav\t5_541"]), "utf-8-sig"
    )
    rows, collector = read("magicdata", tmp_path)
    assert [(row.id, row.text, row.split) for row in rows] == [
        ("5_541_20170607142131", "播放，老歌。", "dev")
    ]
    assert collector.skipped == {"it has no text": 1}


@pytest.mark.parametrize("name", ["librispeech", "aishell1", "aishell3", "magicdata"])
def test_another_folder_is_refused_and_told_what_is_missing(tmp_path, name):
    with pytest.raises(InvalidInputError, match=r"(has no|is missing).*give the folder"):
        read(name, tmp_path)


def test_a_transcript_that_is_not_utf8_is_named(tmp_path):
    librispeech(tmp_path)
    path = tmp_path / "LibriSpeech" / "dev-clean" / "84" / "121123" / "84-121123.trans.txt"
    path.write_bytes(b"84-121123-0000 GO\n84-121123-0001 caf\xe9\n")
    with pytest.raises(InvalidInputError, match=r"trans.txt:2: .* is not UTF-8"):
        read("librispeech", tmp_path)


def test_a_broken_recording_is_left_out_and_named(tmp_path):
    chapter = librispeech(tmp_path)
    (chapter / "84-121123-0001.flac").write_bytes(b"fLaC")
    rows, collector = read("librispeech", tmp_path)
    assert len(rows) == 1
    assert "84-121123-0001.flac is no recording" in collector.examples["the recording cannot be read"][0]
