"""CoVoST, CoVoST 2, MLS and SPGISpeech: tables of texts beside files of one utterance."""

import pytest

from tests.recordings import write_recording, write_text
from training.data.readers import read_corpus
from uniaudio.errors import InvalidInputError


def read(name, folder):
    rows, collector = read_corpus(name, folder)
    return list(rows), collector


def table(*rows):
    return "".join(
        "\t".join(cells) + "\n" for cells in (("path", "sentence", "translation", "client_id"), *rows)
    )


def test_covost2_takes_a_clip_once_whatever_its_translations(tmp_path):
    for number in (1, 2):
        write_recording(tmp_path / "en" / "clips" / f"common_voice_en_{number}.mp3", 0.5, 48000)
    write_recording(tmp_path / "sv-SE" / "clips" / "sv_1.mp3", 0.5, 48000)
    first = ("common_voice_en_1.mp3", 'He said "no', "Er sagte", "speaker1")
    write_text(
        tmp_path / "en" / "covost_v2.en_de.train.tsv",
        table(first, ("common_voice_en_2.mp3", "Two", "Zwei", "s2")),
    )
    write_text(tmp_path / "en" / "covost_v2.en_zh-CN.train.tsv", table(first))
    write_text(tmp_path / "sv-SE" / "covost_v2.sv-SE_en.dev.tsv", table(("sv_1.mp3", "Hej", "Hi", "s3")))
    rows, collector = read("covost2", tmp_path)
    assert [(row.id, row.text, row.language, row.split) for row in rows] == [
        ("en/common_voice_en_1", 'He said "no', "English", "train"),
        ("en/common_voice_en_2", "Two", "English", "train"),
        ("sv-SE/sv_1", "Hej", "Swedish", "dev"),
    ]
    assert rows[0].speaker == "speaker1"
    assert rows[0].sample_rate == 48000
    assert not collector.skipped


def test_covost_clips_without_suffix_in_one_folder(tmp_path):
    write_recording(tmp_path / "clips" / "abc.mp3", 0.5)
    write_text(
        tmp_path / "covost.fr_en.test.tsv", table(("abc", "Oui", "Yes", "s"), ("gone", "Non", "No", "s"))
    )
    (row,), collector = read("covost", tmp_path)
    assert (row.id, row.language, row.split, row.corpus) == ("fr/abc", "French", "test", "covost")
    assert collector.skipped == {"the recording is missing": 1}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("path\tsentence\n", "tsv:1: .*a header with client_id"),
        (table(("a", "b")), "tsv:2: .*a line of 4 cells"),
    ],
)
def test_a_broken_table_is_named(tmp_path, content, told):
    write_text(tmp_path / "covost.fr_en.test.tsv", content)
    with pytest.raises(InvalidInputError, match=told):
        read("covost", tmp_path)


@pytest.mark.parametrize(("folder", "suffix", "options"), [
    ("mls_german", "flac", {}), ("mls_polish_opus", "opus", {"format": "OGG", "subtype": "OPUS"})
])  # fmt: skip
def test_mls(tmp_path, folder, suffix, options):
    split = tmp_path / folder / "dev"
    write_recording(split / "audio" / "10" / "20" / f"10_20_000000.{suffix}", 0.5, **options)
    transcript = write_text(split / "transcripts.txt", "10_20_000000\tes war einmal\n")
    (row,), _ = read("mls", tmp_path)
    language = folder.split("_")[1].capitalize()
    assert (row.id, row.text, row.speaker, row.language) == ("10_20_000000", "es war einmal", "10", language)
    transcript.write_text("10_20_000000 es war einmal\n")
    with pytest.raises(InvalidInputError, match=r"transcripts.txt:1: .*a tab, and the text"):
        read("mls", tmp_path)


@pytest.mark.parametrize("inside", ["", "spgispeech"])
def test_spgispeech(tmp_path, inside):
    write_recording(tmp_path / inside / "val" / "07a785" / "1.wav", 0.5)
    write_text(
        tmp_path / "val.csv",
        'wav_filename|wav_filesize|transcript\n07a785/1.wav|16044|Revenue rose 5%, "net".\n',
    )
    (row,), _ = read("spgispeech", tmp_path)
    assert (row.id, row.split, row.text) == ("val/07a785/1", "val", 'Revenue rose 5%, "net".')


@pytest.mark.parametrize("name", ["covost", "covost2", "mls", "spgispeech"])
def test_another_folder_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="has no"):
        read(name, tmp_path)
