"""The published layouts and scorers: Freeform-Audio-Edit, Seed-TTS-eval, ContextASR-Bench, codecs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.evaluation.ears import Ear, System, VoiceEar, bench
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.recordings import write_recording
from uniaudio.evaluation.results import SuiteResult, Table
from uniaudio.evaluation.suites import codec, context_asr, freeform, seed_tts

OLD, NEW = "He has a red hat.", "He has a blue hat."


@pytest.fixture
def ear() -> Ear:
    return Ear()


def tables(result: SuiteResult, title: str) -> list[Table]:
    return [table for table in result.tables if table.title == title]


def values(table: Table, label: str) -> dict[str, Any]:
    return dict(next(row.values for row in table.rows if row.label == label))


def labels(table: Table) -> list[str]:
    return [row.label for row in table.rows]


def write_meta(data: Path, name: str, rows: list[str]) -> None:
    path = data / "meta" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("file_name|path|instruction|original_text|edited_text\n" + "\n".join(rows) + "\n")


def test_edits_of_words_are_scored_twice_and_never_in_one_table(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = ("a", "b", "c")
    rows = [f"{name}|wavs/{name}.wav|substitute 'red' with 'blue'|{OLD}|{NEW}" for name in names]
    write_meta(data, "sub/meta_en_substitution_basic.csv", [*rows, "a line|of three|fields"])
    for name in names:
        ear.say(data / "wavs" / f"{name}.wav", OLD)
    outputs = tmp_path / "outputs/sub/edit_sub_basic/tts"
    ear.say(outputs / "a.wav", "he has a blue hat")
    ear.say(outputs / "b.wav", "well he has a blue hat")

    result = freeform.evaluate(bench(tmp_path, ear, VoiceEar()))
    compat, clean = tables(result, "substitution basic, en")
    assert (compat.scoring, clean.scoring) == ("compat", "clean")
    for table in (compat, clean):
        assert labels(table) == ["system", "copy", "floor", "splice oracle", "coverage"]
        assert values(table, "coverage")["coverage"] == pytest.approx(2 / 3)
        assert values(table, "floor")["wer_fake/macro"] == 0
        assert values(table, "copy")["acc_fake"] == 0
        assert values(table, "system")["sim_fake"] == 0
    assert values(compat, "system")["acc_fake"] == 1 / 2, "missing left out; an early slip fails a good edit"
    assert values(clean, "system")["acc_fake"] == 2 / 3, "missing is wrong; the slip is forgiven"
    assert values(compat, "system")["wer_fake/macro"] == pytest.approx(0.1)
    assert values(clean, "system")["wer_fake/macro"] == pytest.approx((0 + 0.2 + 1) / 3)
    assert "1 lines with fewer than 5 fields" in result.notes[0]


def test_deletions_have_an_oracle_where_word_times_exist(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_meta(data, "del/meta_en_deletion.csv", [f"a|wavs/a.wav|delete 'red'|{OLD}|He has a hat."])
    ear.say(data / "wavs" / "a.wav", OLD)
    words = [[word, i / 5, (i + 1) / 5] for i, word in enumerate(OLD.split())]
    (data / "words.jsonl").write_text(json.dumps({"path": "wavs/a.wav", "words": words}) + "\n")
    result = freeform.evaluate(bench(tmp_path, ear, system=System()))
    clean = tables(result, "deletion full, en")[1]
    oracle = next(row for row in clean.rows if row.label == "splice oracle")
    assert oracle.num_scored == 1
    assert (tmp_path / "outputs/del/edit_del_open/tts/a.wav").is_file()
    assert len(list((tmp_path / "out" / "oracle").rglob("*.wav"))) == 1


def test_edits_of_sound_and_those_that_need_another_judge(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    line = "time_stretch_x|wavs/missing.wav|adjusts the speed to 0.5|hello|"
    write_meta(data, "time_stretch/meta_zh_time_stretch.csv", [line])
    write_meta(
        data, "pitch_shift/meta_en_pitch_shift.csv", ["y|wavs/x.wav|shifts the pitch by -3 steps|hello|"]
    )
    write_meta(data, "dialect/meta_zh_dialect.csv", ["x|wavs/x.wav|change the accent to Dongbei|你好|你好"])
    ear.say(data / "wavs" / "x.wav", "hello")
    result = freeform.evaluate(bench(tmp_path, ear, system=System()))
    (speed,), (pitch,), (dialect,) = (
        tables(result, title) for title in ("speed, zh", "pitch, en", "dialect, zh")
    )
    assert values(speed, "system")["rde"] == pytest.approx(1.0)
    assert values(speed, "copy")["rde"] == pytest.approx(1.0)
    assert values(pitch, "system")["pitch_error"] == pytest.approx(300, abs=5)
    row = dialect.rows[0]
    assert row.values["acc"] is None
    assert "judge" in row.reasons["acc"]


def test_no_number_without_a_recogniser(ear: Ear, tmp_path: Path) -> None:
    write_meta(tmp_path / "data", "sub/meta_zh_substitution.csv", ["a|wavs/a.wav|x|他好|你好"])
    ear.say(tmp_path / "data/wavs/a.wav", "")
    result = freeform.evaluate(bench(tmp_path, system=System()))
    row = tables(result, "substitution full, zh")[0].rows[0]
    assert (row.values["wer"], "--paraformer" in row.reasons["wer"]) == (None, True)


def test_meta_lines(tmp_path: Path) -> None:
    def parse(line: str) -> tuple[object, ...]:
        row = seed_tts.parse_line(line, tmp_path)
        names = [path and path.name for path in (row.prompt, row.truth)]
        return row.id, row.text, row.prompt_text, *names

    assert parse("a|hi|p/1.wav|say|g/2.wav\n") == ("a", "say", "hi", "1.wav", "2.wav")
    assert parse("a|hi|p/1.wav|say") == ("a", "say", "hi", "1.wav", None)
    assert parse("a.wav|say|p/1.wav") == ("a", "say", "", "1.wav", None)
    assert parse("a|say") == ("a", "say", "", None, None)
    with pytest.raises(InvalidInputError, match="1 fields"):
        parse("a")


def test_zero_shot_speech(ear: Ear, tmp_path: Path) -> None:
    en = tmp_path / "data" / "en"
    lines = [f"{name}|prompt words|p/{name}.wav|It’s one, two|t/{name}.wav" for name in ("a", "b", "c")]
    en.mkdir(parents=True)
    (en / "meta.lst").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("a", "b", "c"):
        ear.say(en / "p" / f"{name}.wav", "prompt words")
        ear.say(en / "t" / f"{name}.wav", "its one two")
    ear.say(tmp_path / "outputs" / "a.wav", "Its one two!")
    ear.say(tmp_path / "outputs" / "b.wav", "its")
    result = seed_tts.evaluate(bench(tmp_path, ear, VoiceEar()))
    compat, clean = tables(result, "en/meta")
    assert labels(compat) == labels(clean) == ["system", "copy", "floor", "coverage"]
    system = values(compat, "system")
    assert system["wer_fake/macro"] == pytest.approx((0 + 2 / 3) / 2, abs=1e-5)
    assert (system["over_half_fake"], system["sim_fake"], system["variance_sim_fake"]) == (1, 0, 0)
    assert values(clean, "system")["wer_fake/macro"] == pytest.approx((0 + 2 / 3 + 1) / 3)
    assert values(clean, "floor")["wer_fake/micro"] == 0
    assert values(clean, "copy")["sim_fake"] == 1


def context_row(name: str, text: str, entities: list[str]) -> dict[str, Any]:
    return {
        "uniq_id": name, "language": "English", "duration": 1.0, "wav_path": f"{name}.wav", "text": text,
        "domain_label": "Movies; People", "entity_list": entities,
    }  # fmt: skip


def test_entities_in_context(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    rows = [
        context_row("a", "I met John Smith in Paris", ["John Smith", "Paris"]),
        context_row("b", "nobody", ["Rome"]),
    ]
    (data / "speech.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        ear.say(data / row["wav_path"], row["text"])
    system = System()
    system.reads = {"a": "I met Jon Smith in Paris.", "b": "nobody"}
    result = context_asr.evaluate(bench(tmp_path, ear, system=system))
    (table,) = tables(result, "speech, en")
    assert labels(table) == ["system", "copy", "floor (fake)", "coverage"]
    found = values(table, "system")
    assert found["dropped"] == 1
    assert found["wer/micro"] == pytest.approx(1 / 6)
    assert found["ne_fnr/micro"] == pytest.approx(1 / 2)
    assert found["ne_wer/micro"] == pytest.approx(2 / 3)
    assert values(table, "floor (fake)")["ne_fnr/micro"] == 0


def test_answers_in_the_published_form(ear: Ear, tmp_path: Path) -> None:
    data, outputs = tmp_path / "data", tmp_path / "outputs"
    data.mkdir()
    outputs.mkdir()
    row = context_row("a", "I met John Smith", ["John Smith"])
    (data / "speech.jsonl").write_text(json.dumps(row) + "\n")
    answers = {
        f"model{n}": {"prompt": "", "asr_text": text} for n, text in enumerate(["", "i met john smith"])
    }
    (outputs / "answers.jsonl").write_text(json.dumps(row | {"asr_info": answers}) + "\n")
    (table,) = context_asr.evaluate(bench(tmp_path)).tables
    assert [values(table, f"model{n}")["wer/micro"] for n in range(2)] == [1, 0]


def test_context_is_given_as_asked() -> None:
    row = context_asr.ContextRow(
        id="a",
        language="en",
        audio=Path("a.wav"),
        text="",
        domains=("Movies",),
        entities=("Paris",),
        answers={},
    )
    assert row.context("none") == []
    assert row.context("coarse") == ["Movies"]
    assert row.context("fine") == ["Movies", "Paris"]


def test_codecs_count_what_cannot_be_judged(ear: Ear, tmp_path: Path) -> None:
    data, outputs = tmp_path / "data", tmp_path / "outputs"
    for name in ("x/a", "x/b", "c"):
        ear.say(data / f"{name}.wav", name, seconds=1.5)
    (outputs / "x").mkdir(parents=True)
    (outputs / "x" / "a.wav").write_bytes((data / "x" / "a.wav").read_bytes())
    write_recording(outputs / "x" / "b.wav", np.zeros(24000, np.float32))
    (table,) = codec.evaluate(bench(tmp_path)).tables
    system = next(row for row in table.rows if row.label == "system")
    assert labels(table) == ["system", "copy", "floor", "coverage"]
    assert (system.num_scored, system.num_expected) == (2, 3)
    assert system.values["pesq_wb"] is not None
    assert system.values["pesq_wb"] > 4.6, "the silent one is no code among the values"
    assert "1 not judged" in system.reasons["pesq_wb"]


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for suite in (freeform, seed_tts, context_asr, codec):
        with pytest.raises(InvalidInputError, match="name"):
            suite.evaluate(bench(tmp_path))
