"""People's Speech, Emilia and Libriheavy: a JSON object a line."""

import gzip
import json
import tarfile

import pytest

from tests.recordings import write_recording, write_text
from training.data.readers import read_corpus
from training.data.recording import read_mono
from uniaudio.errors import InvalidInputError


def read(name, folder):
    rows, collector = read_corpus(name, folder)
    return list(rows), collector


def test_peoples_speech(tmp_path):
    write_recording(tmp_path / "train" / "clean" / "doc" / "a_DOT_mp3_00000.flac", 0.5)
    data = {
        "duration_ms": [500, 400],
        "label": ["hello there", "gone"],
        "name": ["./doc/a_DOT_mp3_00000.flac", "doc/b.flac"],
    }
    path = write_text(
        tmp_path / "train" / "clean.json", json.dumps({"identifier": "x", "training_data": data}) + "\n"
    )
    (row,), collector = read("peoples_speech", tmp_path)
    assert (row.id, row.split, row.text) == ("clean/doc/a_DOT_mp3_00000", "train/clean", "hello there")
    assert collector.skipped == {"the recording is missing": 1}
    for line, told in (("{", "one JSON object"), ("[1]", "one JSON object"), ("{}", "field 'training_data'"),
                       ('{"training_data": {"name": ["a"], "label": []}}', "one label a name")):  # fmt: skip
        path.write_text("\n" + line)
        with pytest.raises(InvalidInputError, match=rf"clean.json:2: .*{told}"):
            read("peoples_speech", tmp_path)


def emilia_entry(number, **changes):
    name = f"EN_B00000_S00000_W00000{number}"
    entry = {
        "id": name,
        "wav": f"EN_B00000/EN_B00000_S00000/mp3/{name}.mp3",
        "text": " Hello.",
        "duration": 0.5,
    }
    return entry | {"speaker": "EN_B00000_S00000", "language": "en", "dnsmos": 3.3} | changes


def test_emilia_as_files(tmp_path):
    language = tmp_path / "raw" / "EN"
    write_recording(language / emilia_entry(0)["wav"], 0.5, 24000)
    write_text(language / "EN_B00000.jsonl", "".join(json.dumps(emilia_entry(n)) + "\n" for n in range(2)))
    (row,), collector = read("emilia", tmp_path)
    assert (row.id, row.text, row.language, row.speaker) == (
        emilia_entry(0)["id"],
        "Hello.",
        "English",
        "EN_B00000_S00000",
    )
    assert collector.skipped == {"the recording is missing": 1}


def test_emilia_as_tars_is_read_in_place(tmp_path):
    recording = write_recording(tmp_path / "x.mp3", 0.5, 24000)
    description = write_text(tmp_path / "x.json", json.dumps(emilia_entry(0, language="zh")))
    broken = write_text(tmp_path / "y.mp3", "no recording")
    (tmp_path / "c" / "ZH").mkdir(parents=True)
    with tarfile.open(tmp_path / "c" / "ZH" / "ZH-B000000.tar", "w") as tar:
        for key, audio in (("ZH_W0", recording), ("ZH_W1", broken)):
            tar.add(audio, f"{key}.mp3")
            tar.add(description, f"{key}.json")
    (row,), collector = read("emilia", tmp_path / "c")
    assert (row.member, row.language, row.sample_rate) == ("ZH_W0.mp3", "Chinese", 24000)
    assert len(read_mono(row, 0, row.num_samples)) == row.num_samples
    assert collector.skipped == {"the recording cannot be read": 1}


def libriheavy_cut(start, duration, **supervision):
    recording = "small/100/sea_fairies/01_sea"
    source = f"download/librilight/{recording}.flac"
    spoken = {"speaker": "100", "custom": {"texts": ["The little girl.", "THE LITTLE GIRL"]}}
    return {
        "id": f"{recording}_0", "start": start, "duration": duration, "channel": 0,
        "supervisions": [spoken | supervision],
        "recording": {"id": recording, "sources": [{"type": "file", "channels": [0], "source": source}]},
    }  # fmt: skip


@pytest.mark.parametrize("audio", ["download/librilight/small", "small"])
@pytest.mark.parametrize("manifests", ["", "download/libriheavy"])
def test_libriheavy(tmp_path, audio, manifests):
    write_recording(tmp_path / audio / "100" / "sea_fairies" / "01_sea.flac", 3.0)
    cuts = [libriheavy_cut(0.5, 1.25), libriheavy_cut(2.0, 0.5, text="Extracted"), libriheavy_cut(2.0, 9.0)]
    (tmp_path / manifests).mkdir(parents=True, exist_ok=True)
    with gzip.open(tmp_path / manifests / "libriheavy_cuts_small.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(cut) + "\n" for cut in cuts)
    rows, collector = read("libriheavy", tmp_path)
    assert [(row.text, row.start_sample, row.num_samples) for row in rows] == [
        ("The little girl.", 8000, 20000), ("Extracted", 32000, 8000)
    ]  # fmt: skip
    assert {(row.split, row.speaker) for row in rows} == {("small", "100")}
    assert collector.skipped == {"the segment ends after the recording": 1}


def test_a_broken_cut_is_named(tmp_path):
    with gzip.open(tmp_path / "libriheavy_cuts_dev.jsonl.gz", "wt") as file:
        file.write(json.dumps(libriheavy_cut("soon", 1.0)))
    with pytest.raises(InvalidInputError, match=r"dev.jsonl.gz:1: 'soon'; a number as 'start'"):
        read("libriheavy", tmp_path)


@pytest.mark.parametrize("name", ["peoples_speech", "emilia", "libriheavy"])
def test_another_folder_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="has no"):
        read(name, tmp_path)
