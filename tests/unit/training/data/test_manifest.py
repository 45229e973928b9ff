"""Manifests come back as they were written, from anywhere in the file, and say what is wrong with a row."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.manifest import Manifest, ManifestWriter, Row, read_manifest
from training.data.statistics import Statistics
from uniaudio.errors import InvalidInputError


def row(**changes):
    values = {"id": "a", "audio": Path("/x/a.wav"), "sample_rate": 16000, "num_samples": 32000}
    return Row(**(values | {"corpus": "c", "split": "train"} | changes))


def written(folder, rows):
    path = folder / "m.jsonl"
    with ManifestWriter(path) as writer:
        for item in rows:
            writer.write(item)
    return path


def test_rows_come_back_in_order_and_by_index(tmp_path):
    rows = [row(id=f"r{n}", text="你好\n“x”" * n, words=(("hi", 0.0, 0.5),) * n) for n in range(50)]
    path = written(tmp_path, rows)
    assert list(read_manifest(path)) == rows
    manifest = Manifest(path)
    assert len(manifest) == 50
    assert [manifest[n] for n in (49, 0, 17)] == [rows[49], rows[0], rows[17]]
    with pytest.raises(IndexError, match="row 50"):
        manifest[50]


def test_audio_beside_the_manifest_moves_with_it(tmp_path):
    first = tmp_path / "one"
    path = written(first, [row(audio=first / "s" / "0.tar", member="0.flac")])
    assert json.loads(path.read_text())["audio"] == "s/0.tar"
    first.rename(tmp_path / "two")
    assert Manifest(tmp_path / "two" / "m.jsonl")[0].audio == tmp_path / "two" / "s" / "0.tar"


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    def rows():
        yield row()
        raise RuntimeError

    with pytest.raises(RuntimeError):
        written(tmp_path, rows())
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_a_last_line_end_and_an_empty_one_are_read(tmp_path):
    path = written(tmp_path, [row(id="a"), row(id="b")])
    path.write_text(path.read_text().rstrip("\n"))
    assert [item.id for item in Manifest(path)] == ["a", "b"]
    assert Manifest(path)[1].id == "b"
    path.write_text("")
    assert len(Manifest(path)) == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sample_rate": "16000"}, r"'sample_rate' is '16000'; a whole number is needed"),
        ({"num_samples": 0}, r"'num_samples' is 0; a whole number from 1"),
        ({"num_samples": True}, r"'num_samples' is True"),
        ({"text": None}, r"'text' is None; a text is needed"),
        ({"speeker": "x"}, r"'speeker' is not known; there are id, audio"),
        ({"words": [["a", 1.0, 0.5]]}, r"'words' is \('a', 1.0, 0.5\); times must rise"),
        ({"words": [["a", 0.0, 9.0]]}, r"'words' is .* within 2.000 s"),
        ({"words": [["a", "0", 1]]}, r"'words' is .*\[word, start_s, end_s\]"),
        ({"channel": -1}, r"'channel' is -1"),
        ({"id": ""}, r"'id' is ''"),
    ],
)
def test_a_wrong_field_is_named_with_its_place(tmp_path, changes, told):
    path = written(tmp_path, [row(), row(), row()])
    lines = path.read_text().splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | changes)
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidInputError, match=rf"m.jsonl:2: field {told}"):
        list(read_manifest(path))
    assert Manifest(path)[2] == row()
    with pytest.raises(InvalidInputError, match=r"m.jsonl:2: "):
        Manifest(path)[1]


@pytest.mark.parametrize(
    ("line", "told"), [("{", "not JSON"), ("[]", "not an object"), ("{}", "'id' is missing")]
)
def test_a_line_that_is_no_row_is_named(tmp_path, line, told):
    (tmp_path / "m.jsonl").write_text(line + "\n")
    with pytest.raises(InvalidInputError, match=rf"m.jsonl:1: .*{told}"):
        list(read_manifest(tmp_path / "m.jsonl"))


def test_a_missing_manifest_says_how_to_make_one(tmp_path):
    with pytest.raises(InvalidInputError, match="is missing; write it with"):
        Manifest(tmp_path / "m.jsonl")


@given(st.text(), st.text(min_size=1), st.integers(1, 10**9), st.integers(1, 10**6))
def test_any_text_survives_a_line(text, identity, num_samples, sample_rate):
    item = row(text=text, id=identity, num_samples=num_samples, sample_rate=sample_rate)
    line = item.to_json()
    assert "\n" not in line
    assert Row.from_json(line, Path("/")) == item


def test_lengths_are_told_at_another_rate(tmp_path):
    path = written(
        tmp_path, [row(num_samples=44100, sample_rate=44100), row(num_samples=11025, sample_rate=22050)]
    )
    assert Manifest(path).lengths(16000).tolist() == [16000, 8000]


def test_statistics_count_by_corpus_split_and_language():
    statistics = Statistics()
    for item in [row(language="English", speaker="1"), row(split="dev", num_samples=16000), row(speaker="1")]:
        statistics.add(item)
    assert (statistics.num_rows, statistics.seconds, len(statistics.speakers)) == (3, 5.0, 1)
    assert statistics.seconds_by["c", "dev", ""] == 1.0
    assert (statistics.shortest_seconds, statistics.longest_seconds) == (1.0, 2.0)
