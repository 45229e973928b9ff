"""Triplets of recordings: the untouched recording is the target, and cuts are made only where two alignments agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import training.data.triplets.__main__ as command
from tests.recordings_on_disk import write_spoken
from tests.unit.training.data.speakers import ToneSpeaker
from training.data.augment.mix import active_power
from training.data.boundaries import AlignmentGateError
from training.data.manifest import Manifest, ManifestWriter, Row
from training.data.pipeline import load_utterance
from training.data.triplet_recordings import TripletRecordings
from training.data.triplets.corpus import TripletCorpusConfig, draw, write_corpus
from training.data.triplets.make import triplet_in
from training.data.triplets.manifest import read_rows
from training.data.triplets.recorded import OpenRecorded, Recorded
from training.data.triplets.recorded_scene import KINDS
from training.data.triplets.triplet import Kind, Triplet
from training.data.triplets.understanding import is_understood
from training.data.utterance import Utterance
from uniaudio.errors import InvalidInputError

CONFIG = TripletCorpusConfig(count=9, held_out_count=3, block=5)
WORD_KINDS = [kind for kind in Kind if kind.changes_words]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    write_spoken(folder / "train.jsonl", 16, num_speakers=8)
    write_spoken(folder / "dev.jsonl", 4)
    return folder


@pytest.fixture(scope="module")
def source(folder: Path) -> Iterator[OpenRecorded]:
    with Recorded(folder=folder, open_speaker=ToneSpeaker).open(["en"]) as opened:
        yield opened


def drawn(source: OpenRecorded, kind: Kind, count: int = 8) -> list[Triplet]:
    scenes = (source.scene("train", kind, np.random.default_rng(seed)) for seed in range(count))
    return [triplet_in(scene, kind) for scene in scenes]


def untouched(folder: Path, spoken: Utterance) -> np.ndarray:
    return load_utterance(
        next(row for row in Manifest(folder / "train.jsonl") if row.id == spoken.recording)
    ).waveform


@pytest.mark.parametrize("kind", WORD_KINDS)
def test_the_untouched_recording_is_the_target(folder: Path, source: OpenRecorded, kind: Kind) -> None:
    for triplet in drawn(source, kind):
        assert triplet.method == "splice"
        np.testing.assert_array_equal(triplet.target.waveform, untouched(folder, triplet.target))
        (s0, s1), (t0, t1) = triplet.source_region, triplet.target_region
        assert triplet.source.waveform.size - triplet.target.waveform.size == (s1 - s0) - (t1 - t0)
        np.testing.assert_array_equal(triplet.source.waveform[: s0 - 80], triplet.target.waveform[: t0 - 80])
        np.testing.assert_array_equal(
            triplet.source.waveform[s1 + 160 :], triplet.target.waveform[t1 + 160 :]
        )
        assert is_understood(triplet)


def test_foreign_words_are_of_the_same_speaker_and_as_loud(source: OpenRecorded) -> None:
    pairs = [
        (giver, triplet.target) for triplet in drawn(source, Kind.DELETE, 16) for giver, _ in triplet.cuts
        if giver.recording != triplet.target.recording
    ]  # fmt: skip
    assert pairs
    for giver, target in pairs:
        assert giver.voice == target.voice
        assert active_power(giver.waveform) == pytest.approx(active_power(target.waveform), rel=1e-3)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.changes_words])
def test_sounds_are_edited_and_words_stay(source: OpenRecorded, kind: Kind) -> None:
    for triplet in drawn(source, kind, 3):
        assert triplet.source.text == triplet.target.text
        assert is_understood(triplet)


def test_others_speak_in_the_background_where_there_are_six(folder: Path, source: OpenRecorded) -> None:
    rng = np.random.default_rng(0)
    scene = source.scene("train", Kind.ADD_SOUND, rng)
    assert scene.has_crowd
    assert len(scene.crowd(7)) == 7
    assert not source.scene("dev", Kind.ADD_SOUND, rng).has_crowd


def test_what_must_be_acted_is_refused_with_what_is_possible(source: OpenRecorded) -> None:
    scene = source.scene("train", Kind.EMOTION_PROXY, np.random.default_rng(0))
    with pytest.raises(
        InvalidInputError, match=r"emotion_proxy cannot be made here.*insert, delete.*add_sound"
    ):
        triplet_in(scene, Kind.EMOTION_PROXY)
    assert [draw(source, "train", 0, index)[0].kind for index in range(len(KINDS))] == list(KINDS)


def timed_otherwise(manifest: Iterable[Row], path: Path, seconds: float, share: float = 1.0) -> Path:
    """The same rows, that share of their words' times later."""
    rng = np.random.default_rng(0)
    with ManifestWriter(path) as written:
        for row in manifest:
            late = [seconds * (rng.random() < share) for _ in row.words]
            words = tuple((w, a + by, b + by) for (w, a, b), by in zip(row.words, late, strict=True))
            written.write(replace(row, words=words))
    return path


def test_cuts_are_made_only_where_both_alignments_agree(folder: Path, tmp_path: Path) -> None:
    train = Manifest(folder / "train.jsonl")
    second = timed_otherwise(train, tmp_path / "second.jsonl", 0.045, share=0.4)
    with Recorded(folder=folder, second=second).open(["en"]) as source:
        cuts = 0
        for seed in range(12):
            scene = source.scene("train", Kind.INSERT, np.random.default_rng(seed))
            triplet = triplet_in(scene, Kind.INSERT)
            found = source.second(triplet.target)
            for recording, word in triplet.cuts:
                if 0 < word < len(recording.words):
                    cuts += 1
                    assert abs(found[word] - recording.words[word].start) <= 320
        assert cuts
        assert draw(source, "train", 0, 0)[1].boundary_max_ms <= 20


def test_a_speaker_whose_times_are_never_agreed_on_is_passed_over(folder: Path, tmp_path: Path) -> None:
    train = Manifest(folder / "train.jsonl")
    rows = (row for row in train if row.speaker == "voice 3")
    second = timed_otherwise(rows, tmp_path / "second.jsonl", 0.0)
    with Recorded(folder=folder, second=second).open(["en"]) as source:
        assert draw(source, "train", 0, 0)[0].target.voice.name == "voice 3"


def test_the_corpus_is_read_like_any_other(folder: Path, tmp_path: Path) -> None:
    source = Recorded(folder=folder, open_speaker=ToneSpeaker)
    manifest = write_corpus(tmp_path, CONFIG, source, gate_boundaries=40, quiet=True)
    rows = list(read_rows(manifest))
    assert [row["edit"]["op"] for row in rows if row["split"] == "train"] == [kind.value for kind in KINDS]
    assert {row["recording"].partition("-")[0] for row in rows if row["split"] == "dev"} == {"dev"}
    assert not any(row["synthetic"] for row in rows)
    assert {row["lang"] for row in rows} == {"en"}
    assert len(TripletRecordings.open(manifest, "dev")) == 3
    assert TripletRecordings.open(manifest, "train").edit(0).plan_text.startswith("<cot_text>")


def test_times_that_are_off_stop_the_build_with_a_report(folder: Path, tmp_path: Path) -> None:
    late = tmp_path / "late"
    late.mkdir()
    for split in ("train", "dev"):
        timed_otherwise(Manifest(folder / f"{split}.jsonl"), late / f"{split}.jsonl", 0.06)
    with pytest.raises(AlignmentGateError, match=r"0\.0 % within 20 ms \(limit 40 %\)"):
        write_corpus(
            tmp_path / "out", CONFIG, Recorded(folder=late, open_speaker=ToneSpeaker), gate_boundaries=40, quiet=True
        )  # fmt: skip
    assert (tmp_path / "out" / "alignment.html").is_file()


def test_triplets_of_other_manifests_are_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_corpus(
        out, CONFIG, Recorded(folder=folder, open_speaker=ToneSpeaker), gate_boundaries=0, quiet=True
    )
    second = timed_otherwise(Manifest(folder / "train.jsonl"), tmp_path / "second.jsonl", 0.0)
    with pytest.raises(InvalidInputError, match="holds other triplets"):
        write_corpus(out, CONFIG, Recorded(folder=folder, second=second), gate_boundaries=0, quiet=True)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"words": ()}, "without word times"),
        ({"text": "something else"}, "their words are not those of their text"),
        (
            {"text": "", "words": (("<unk>", 0.1, 0.2), ("a b", 0.2, 0.3))},
            "their words are not those of their text",
        ),
        ({"text": "", "words": (("你", 0.1, 0.2),)}, "written without spaces between words"),
        ({"text": "", "words": (("one", 0.1, 0.2),)}, "fewer than 3 words"),
        ({"language": "German"}, "not English, and no second alignment is given"),
    ],
)
def test_rows_that_cannot_be_edited_are_counted_by_reason(tmp_path: Path, changes: dict, reason: str) -> None:
    write_spoken(tmp_path / "train.jsonl", 2, **changes)
    write_spoken(tmp_path / "dev.jsonl", 2)
    with pytest.raises(InvalidInputError, match=f"0 of 2 recordings can be edited; left out: 2 {reason}"):
        Recorded(folder=tmp_path).usable()


def run(*arguments: object) -> str:
    app = typer.Typer()
    app.command()(command.main)
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code != 0
    return done.stderr


def test_the_command_tells_what_is_wrong(tmp_path: Path) -> None:
    write_spoken(tmp_path / "train.jsonl", 2)
    write_spoken(tmp_path / "dev.jsonl", 1)
    said = run("--out", tmp_path / "out", "--recordings", tmp_path, "--second", tmp_path / "train.jsonl")
    assert "train: 2 of 2 recordings can be edited" in said
    assert "at least 500 are needed" in said
    assert "train.jsonl is missing" in run("--out", tmp_path / "o", "--recordings", tmp_path / "no")
    assert "--recordings" in run("--out", tmp_path / "o", "--second", tmp_path / "train.jsonl")
