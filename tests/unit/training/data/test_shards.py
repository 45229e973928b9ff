"""Shards hold what was put in, within their bound; an interrupted run goes on to the same bytes."""

import io
import json
import tarfile

import numpy as np
import pytest
import soundfile
import typer

from training.data.manifest import Manifest, ManifestWriter, Row, read_manifest
from training.data.pipeline import load_window
from training.data.recording import read_mono, recording_bytes
from training.data.shard_index import index_path, index_shard, locate, members
from training.data.shards import ShardWriter, damaged, encode_flac, main, shard_rows
from training.data.window import stretch
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError


def recordings(folder, count=6, sample_rate=16000, num_samples=4000):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        path = folder / f"{number}.wav"
        soundfile.write(
            path, rng.uniform(-0.5, 0.5, (num_samples + number, 2)), sample_rate, subtype="PCM_16"
        )
        row = Row(
            id=f"r{number}", audio=path, sample_rate=sample_rate, num_samples=num_samples + number - 100, corpus="c",
            split="train", start_sample=100, channel=1, text=f"text {number}", words=(("w", 0.0, 0.1),),
        )  # fmt: skip
        rows.append(row)
    return rows


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_sample_is_read_back_from_its_shard(tmp_path):
    rows = recordings(tmp_path)
    report = shard_rows(rows, tmp_path / "s", max_shard_bytes=60_000)
    assert (report.written, report.already, report.skipped) == (6, 0, {})
    packed = list(read_manifest(tmp_path / "s" / "manifest.jsonl"))
    assert len({row.audio for row in packed}) > 1
    assert all(path.stat().st_size <= 60_000 for path in (tmp_path / "s").glob("*.tar"))
    for row, source in zip(packed, rows, strict=True):
        assert (row.id, row.text, row.words, row.num_samples) == (
            source.id,
            source.text,
            source.words,
            source.num_samples,
        )
        assert np.array_equal(read_mono(row, 0, row.num_samples), read_mono(source, 100, row.num_samples))
    assert list(damaged(packed)) == []


def test_a_shard_is_an_ordinary_tar_with_the_rows_inside(tmp_path):
    shard_rows(recordings(tmp_path, 2), tmp_path / "s")
    packed = Manifest(tmp_path / "s" / "manifest.jsonl")
    with tarfile.open(packed[0].audio) as tar:
        assert tar.getnames() == ["000000000.flac", "000000000.json", "000000001.flac", "000000001.json"]
        flac = tar.extractfile("000000001.flac").read()
        described = json.loads(tar.extractfile("000000001.json").read())
    assert flac == recording_bytes(packed[1].audio, packed[1].member)
    assert described["id"] == "r1"
    assert described["audio"] == "shard-000000.tar"
    assert soundfile.info(io.BytesIO(flac)).channels == 1


def test_the_index_is_what_scanning_the_tar_gives(tmp_path):
    shard_rows(recordings(tmp_path, 3), tmp_path / "s")
    shard = tmp_path / "s" / "shard-000000.tar"
    written, places = index_path(shard).read_bytes(), members(shard)
    copy = shard.rename(tmp_path / "copy.tar")
    index_path(shard).unlink()
    assert members(copy) == places
    assert index_shard(copy).read_bytes() == written
    with pytest.raises(InvalidAudioError, match=r"copy.tar has no member 'x.flac'"):
        locate(copy, "x.flac")


@pytest.mark.parametrize("broken", ["", "v1.2 7\n", "v1.2 1\nflac 12\n", "v1.2 1\nflac a b x.flac\n"])
def test_a_broken_index_is_named_by_line(tmp_path, broken):
    (tmp_path / "x.idx").write_text(broken)
    with pytest.raises(InvalidInputError, match=r"x.idx:[12]: .*delete it and index anew"):
        locate(tmp_path / "x.tar", "a.flac")


def test_something_that_is_no_tar_is_named(tmp_path):
    (tmp_path / "y.tar").write_bytes(b"no tar")
    with pytest.raises(InvalidAudioError, match=r"y.tar cannot be read as a tar"):
        locate(tmp_path / "y.tar", "a.flac")


@pytest.mark.parametrize("stop", [0, 1, 3, 5])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, stop):
    rows = recordings(tmp_path)
    bound = {"max_shard_bytes": 36_000}  # two recordings
    shard_rows(rows, tmp_path / "whole", **bound)

    def interrupted():
        yield from rows[:stop]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shard_rows(interrupted(), tmp_path / "twice", **bound)
    assert not list((tmp_path / "twice").glob("*.part"))
    taken = []
    report = shard_rows(rows, tmp_path / "twice", progress=taken.append, **bound)
    assert report.already + report.written == sum(taken) == 6
    assert contents(tmp_path / "twice") == contents(tmp_path / "whole")
    assert shard_rows(rows, tmp_path / "twice", **bound).written == 0
    assert contents(tmp_path / "twice") == contents(tmp_path / "whole")


def test_leftovers_of_a_killed_run_are_overwritten(tmp_path):
    folder = tmp_path / "s"
    folder.mkdir()
    (folder / "shard-000000.tar.part").write_bytes(b"half")
    (folder / "shard-000000.idx").write_text("v1.2 0\n")
    shard_rows(recordings(tmp_path, 2), folder)
    assert sorted(contents(folder)) == [
        "manifest.jsonl",
        "shard-000000.idx",
        "shard-000000.jsonl",
        "shard-000000.tar",
    ]


def test_other_rows_are_not_mixed_into_a_folder(tmp_path):
    rows = recordings(tmp_path)
    shard_rows(rows[:2], tmp_path / "s")
    with pytest.raises(InvalidInputError, match="last row is 'r1', which is not among these"):
        shard_rows(rows[2:], tmp_path / "s")


def test_what_cannot_be_read_is_left_out_and_counted_also_when_going_on(tmp_path):
    rows = recordings(tmp_path)
    rows[1].audio.write_bytes(b"broken")
    for _ in range(2):
        report = shard_rows(rows, tmp_path / "s", max_shard_bytes=36_000, num_threads=2)
    assert report.already == 5
    shard_rows(rows, tmp_path / "t")
    first = shard_rows(rows, tmp_path / "u")
    assert (first.written, dict(first.skipped)) == (5, {"the recording cannot be read": 1})
    assert [row.id for row in Manifest(tmp_path / "s" / "manifest.jsonl")] == ["r0", "r2", "r3", "r4", "r5"]


def test_recordings_are_stored_at_16_khz_when_asked(tmp_path):
    row = recordings(tmp_path, 1, 24000, 6000)[0]
    shard_rows([row], tmp_path / "s", resample=True)
    packed = Manifest(tmp_path / "s" / "manifest.jsonl")[0]
    assert (packed.sample_rate, packed.num_samples) == (16000, 3933)
    assert np.allclose(read_mono(packed, 0, 3933), load_window(row, stretch(row)), atol=2e-5)


def test_a_recording_above_the_bound_is_refused(tmp_path):
    flac = encode_flac(np.random.default_rng(0).uniform(-1, 1, 9000).astype(np.float32), 16000)
    row = Row(id="big", audio=tmp_path, sample_rate=16000, num_samples=9000, corpus="c", split="s")
    with ShardWriter(tmp_path, max_shard_bytes=20_000) as writer:
        with pytest.raises(LimitExceededError, match=r"'big' has \d+ bytes, a shard at most 20000"):
            writer.write(row, flac)
    assert list(tmp_path.iterdir()) == []


def test_a_changed_recording_is_found(tmp_path):
    shard_rows(recordings(tmp_path, 2), tmp_path / "s")
    rows = list(Manifest(tmp_path / "s" / "manifest.jsonl"))
    offset, size = locate(rows[1].audio, rows[1].member)
    with rows[1].audio.open("r+b") as file:
        file.seek(offset + size - 1)
        file.write(b"\x55")
    assert [row.id for row in damaged(rows)] == ["r1"]


def test_a_foreign_shard_is_indexed_by_what_its_samples_share(tmp_path):
    with tarfile.open(tmp_path / "f.tar", "w") as tar:
        for name in ("EN_1.0/a.mp3", "EN_1.0/a.json", "b.seg.wav"):
            info = tarfile.TarInfo(name)
            info.size = 3
            tar.addfile(info, io.BytesIO(b"abc"))
    lines = index_shard(tmp_path / "f.tar").read_text().splitlines()
    assert [line.split()[::4] for line in lines[1:]] == [["mp3", "json"], ["seg.wav"]]
    assert recording_bytes(tmp_path / "f.tar", "EN_1.0/a.json") == b"abc"


def test_the_command_packs_a_manifest_or_says_what_is_wrong(tmp_path, capsys):
    with ManifestWriter(tmp_path / "m.jsonl") as writer:
        for row in recordings(tmp_path, 3):
            writer.write(row)
    main(tmp_path / "m.jsonl", tmp_path / "s", max_mib=1)
    assert len(Manifest(tmp_path / "s" / "manifest.jsonl")) == 3
    (tmp_path / "m.jsonl").write_text('{"id": 1, "words": []}')
    with pytest.raises(typer.Exit):
        main(tmp_path / "m.jsonl", tmp_path / "t")
    assert "m.jsonl:1: field 'id' is 1; a text is needed" in capsys.readouterr().err
