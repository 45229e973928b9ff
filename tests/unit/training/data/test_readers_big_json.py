"""WenetSpeech and GigaSpeech: one JSON of everything, read a recording at a time."""

import json

import pytest

from tests.recordings import write_recording, write_text
from training.data.readers import big_json, read_corpus
from uniaudio.errors import InvalidInputError


def read(name, folder):
    rows, collector = read_corpus(name, folder)
    return list(rows), collector


def wenet_segment(number, start, end, subsets=("L",), text="你好"):
    return {
        "sid": f"Y0_S{number:05d}",
        "begin_time": start,
        "end_time": end,
        "subsets": list(subsets),
        "text": text,
    }


def wenetspeech(folder, segments):
    write_recording(folder / "audio" / "train" / "Y0.opus", 5.0, format="OGG", subtype="OPUS")
    audio = {"aid": "Y0", "path": "audio/train/Y0.opus", "duration": 5.0, "segments": segments}
    return write_text(
        folder / "WenetSpeech.json",
        json.dumps({"title": "W", "audios": [audio]}, ensure_ascii=False),
    )


def test_wenetspeech(tmp_path):
    segments = [
        wenet_segment(0, 0.25, 1.0, ("L", "M", "S")),
        wenet_segment(1, 1, 2.5, ("L",)),
        wenet_segment(2, 4.0, 9.0),
        wenet_segment(3, 3.0, 4.0, ("TEST_NET",)),
        wenet_segment(4, 3.0, 4.0, text=""),
    ]
    wenetspeech(tmp_path, segments)
    rows, collector = read("wenetspeech", tmp_path)
    assert [(row.id, row.split, row.seconds) for row in rows] == [
        ("Y0_S00000", "S", 0.75), ("Y0_S00001", "L", 1.5), ("Y0_S00003", "TEST_NET", 1.0)
    ]  # fmt: skip
    assert {row.audio for row in rows} == {tmp_path / "audio" / "train" / "Y0.opus"}
    assert collector.skipped == {"the segment ends after the recording": 1, "it has no text": 1}


def test_gigaspeech(tmp_path):
    write_recording(tmp_path / "audio" / "podcast" / "P0001" / "POD1.opus", 4.0, format="OGG", subtype="OPUS")
    texts = ["FOUR O'CLOCK <COMMA> SAID HE <PERIOD>", "<MUSIC>", "REALLY <QUESTIONMARK>"]
    segments = [
        {"sid": f"POD1_S{n}", "speaker": "N/A", "begin_time": n, "end_time": n + 1.0, "text_tn": text,
         "subsets": ["{XL}", "{L}"] if n else ["{DEV}"]}
        for n, text in enumerate(texts)
    ]  # fmt: skip
    audio = {"aid": "POD1", "path": "audio/podcast/P0001/POD1.opus", "segments": segments}
    write_text(
        tmp_path / "GigaSpeech.json",
        json.dumps({"dataset": "GigaSpeech", "audios": [audio, audio | {"segments": []}]}),
    )
    rows, collector = read("gigaspeech", tmp_path)
    assert [(row.text, row.split, row.speaker) for row in rows] == [
        ("FOUR O'CLOCK, SAID HE.", "DEV", ""), ("REALLY?", "L", "")
    ]  # fmt: skip
    assert collector.skipped == {"it is marked as no speech": 1}


def test_only_a_piece_of_the_file_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(big_json, "_READ_CHARACTERS", 16)
    header = {f"key{n}": 'a "quoted" [ ] text' for n in range(20)}
    path = write_text(
        tmp_path / "x.json", json.dumps(header | {"audios": [{"n": n, "x": "]" * n} for n in range(50)]})
    )
    assert [entry["n"] for entry in big_json.iterate_audios(path)] == list(range(50))
    write_text(path, '{"audios" : [ ]}')
    assert list(big_json.iterate_audios(path)) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", 'no list "audios" is in it'),
        ('{"audios": [{"a": 1}, {"b": ', r"it ends inside audios\[1\], or .*"),
        ('{"audios": [{"a": 1} {"b"; 2}]}', r"audios\[1\], or that is no JSON"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, told):
    path = write_text(tmp_path / "x.json", content)
    with pytest.raises(InvalidInputError, match=rf"x.json: .*{told}; restore"):
        list(big_json.iterate_audios(path))


def test_an_entry_without_end_does_not_fill_the_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(big_json, "_READ_CHARACTERS", 16)
    monkeypatch.setattr(big_json, "_MAX_CHARACTERS", 100)
    path = write_text(tmp_path / "x.json", '{"audios": ["' + "x" * 1000)
    with pytest.raises(InvalidInputError, match=r"audios\[0\] is not closed"):
        list(big_json.iterate_audios(path))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"begin_time": "0"}, "'begin_time' is '0'"),
        ({"subsets": None}, "'subsets' is 'None'"),
        ({"sid": 3}, "'sid' is '3'"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(tmp_path, changes, told):
    wenetspeech(tmp_path, [wenet_segment(0, 0, 1), wenet_segment(1, 0, 1) | changes])
    with pytest.raises(InvalidInputError, match=rf"WenetSpeech.json: audios\[0\].segments\[1\]: {told}"):
        read("wenetspeech", tmp_path)


@pytest.mark.parametrize("name", ["wenetspeech", "gigaspeech"])
def test_another_folder_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match=r"Speech\.json is missing"):
        read(name, tmp_path)
