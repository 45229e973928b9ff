"""The synthetic suite: every table has its rows, what is missing is wrong, and aims are judged honestly."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.evaluation.ears import Ear, System, VoiceEar, bench
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.results import SuiteResult, Table
from uniaudio.evaluation.suites.synthetic import evaluate

OLD, NEW = "the old cat sat here", "the cat sat here"


@pytest.fixture
def ear() -> Ear:
    return Ear()


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def edit_row(ear: Ear, data: Path, name: str, kind: str, **more: Any) -> dict[str, Any]:
    """A row, its recordings written; the edit deletes a word unless it is of sound."""
    is_word = kind in ("delete", "insert", "substitute")
    texts = {"source": OLD, "target": NEW if is_word else OLD}
    for side, text in texts.items():
        ear.say(
            data / f"{name}.{side}.wav", text, seconds=1.0 if side == "source" else more.get("target", 1.0)
        )
    return {
        "id": name, "edit_type": kind, "instruction": f"do {name}", "source_audio": f"{name}.source.wav",
        "target_audio": f"{name}.target.wav", "source_text": OLD, "target_text": texts["target"],
        "edit": {"value": more.get("value"), "snr_db": more.get("snr_db")},
        "source_words": more.get("source_words", []), "target_words": more.get("target_words", []),
    }  # fmt: skip


def table(result: SuiteResult, title: str) -> Table:
    return next(table for table in result.tables if table.title == title)


def values(found: Table, label: str) -> dict[str, Any]:
    return dict(next(row.values for row in found.rows if row.label == label))


def speech_rows(ear: Ear, data: Path, num_voices: int) -> list[dict[str, Any]]:
    rows = []
    for voice in range(num_voices):
        for number in range(2):
            ear.say(data / f"voice{voice}" / f"{voice}{number}.wav", f"words {voice} {number}")
            rows.append(
                {
                    "id": f"{voice}{number}",
                    "audio": f"voice{voice}/{voice}{number}.wav",
                    "text": f"words {voice} {number}",
                    "speaker": f"voice{voice}",
                    "new_voice": voice == 0,
                }
            )
    return rows


def test_deletions(ear: Ear, tmp_path: Path) -> None:
    data, outputs = tmp_path / "data", tmp_path / "outputs" / "delete"
    times = {
        "source_words": [[w, i / 5, (i + 1) / 5] for i, w in enumerate(OLD.split())],
        "target_words": [[w, i / 4, (i + 1) / 4] for i, w in enumerate(NEW.split())],
    }
    write_lines(data / "edits.jsonl", [edit_row(ear, data, name, "delete", **times) for name in "abcd"])
    ear.say(outputs / "a.wav", "The cat sat here.")
    ear.say(outputs / "b.wav", OLD)
    ear.say(outputs / "c.wav", "the hat sat here")

    result = evaluate(bench(tmp_path, ear))
    found = table(result, "deletion")
    assert [row.label for row in found.rows] == ["system", "copy", "floor", "splice oracle", "coverage"]
    system = values(found, "system")
    assert system["acc_fake"] == 0.25, "the missing one is wrong, and the one with an error at the join"
    assert system["outside_wer_fake/micro"] == (0 + 1 + 1 + 4) / 16
    assert values(found, "copy")["acc_fake"] == 0
    assert (values(found, "floor")["acc_fake"], values(found, "floor")["wer_fake/macro"]) == (1, 0)
    assert values(found, "coverage")["coverage"] == 0.75
    assert found.scoring == "clean"
    missing = next(item for item in result.items if item.id == "d")
    assert missing.reasons["all"] == "no output"
    verdicts = {aim.what: aim.verdict for aim in result.aims}
    assert verdicts["deletion: clean ACC"] == "missed"
    assert verdicts["transcription: WER"] == "not measured"


def test_sound(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    rows = [
        edit_row(ear, data, "fast", "speed", value=2.0, target=0.5),
        edit_row(ear, data, "loud", "volume", value=1.5),
        edit_row(ear, data, "high", "pitch", value=3.0),
    ]
    write_lines(data / "edits.jsonl", rows)
    system = System()
    result = evaluate(bench(tmp_path, ear, system=system))
    assert values(table(result, "speed"), "system")["rde"] == pytest.approx(0.5)
    assert values(table(result, "volume"), "system")["rae"] == pytest.approx(0.5, abs=1e-3)
    assert values(table(result, "pitch"), "system")["pitch_error"] == pytest.approx(300, abs=5)
    for name, metric in (("speed", "rde"), ("volume", "rae")):
        assert values(table(result, name), "oracle (signal processing)")[metric] == pytest.approx(0, abs=0.01)
    asked = len(system.asked)
    evaluate(bench(tmp_path, ear, system=system))
    assert len(system.asked) == asked, "a second run makes nothing again"


def test_speech(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_lines(data / "speech.jsonl", speech_rows(ear, data, 10))
    system = System()
    system.reads = {
        f"{voice}{number}": f"Words {voice} {number}." for voice in range(10) for number in range(2)
    }
    system.reads["00"] = "word 0 0"
    system.fails = {"words 1 0"}
    result = evaluate(bench(tmp_path, ear, VoiceEar(), system))
    assert values(table(result, "transcription"), "system")["wer_system/micro"] == pytest.approx(1 / 60)
    assert values(table(result, "transcription"), "floor")["wer_fake/micro"] == 0
    spoken = table(result, "speaking")
    assert values(spoken, "coverage")["coverage"] == 19 / 20
    assert values(spoken, "floor")["wer_fake/macro"] == 0
    # The fake's outputs lie in one folder, so it sounds like nobody: the first of ten equals is chosen.
    assert values(spoken, "floor")["right_voice_fake"] == 1
    new = table(result, "reconstruction, held-out voices")
    assert values(new, "system")["pesq_wb"] > 4.6
    assert {row.label for row in new.rows} == {"system", "copy", "floor", "coverage"}
    assert {row.num_expected for row in new.rows} == {2}


def test_too_few_voices_choose_nothing(ear: Ear, tmp_path: Path) -> None:
    write_lines(tmp_path / "data" / "speech.jsonl", speech_rows(ear, tmp_path / "data", 2))
    result = evaluate(bench(tmp_path, ear, VoiceEar(), System()))
    row = table(result, "speaking").rows[0]
    assert row.values["right_voice_fake"] is None
    assert "2 voices" in row.reasons["right_voice_fake"]
    aim = next(aim for aim in result.aims if "right voice" in aim.what)
    assert (aim.verdict, "2 voices" in aim.reason) == ("not measured", True)


def test_denoising_compares_with_the_noisy_input(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_lines(data / "edits.jsonl", [edit_row(ear, data, "n", "denoise", snr_db=5.0)])
    result = evaluate(bench(tmp_path, ear, system=System()))
    found = table(result, "denoise at 5 dB")
    assert values(found, "system")["pesq_gain"] == values(found, "copy")["pesq_gain"] == 0
    assert values(found, "floor")["pesq_gain"] > 0
    verdicts = {aim.what: aim.verdict for aim in result.aims}
    assert verdicts["denoise at 5 dB: PESQ gain"] == "missed"
    assert verdicts["denoise at 5 dB: WER"] == "met"


def test_without_judges_there_is_no_number(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    rows = [edit_row(ear, data, "a", "delete"), edit_row(ear, data, "b", "speed", value=2.0)]
    write_lines(data / "edits.jsonl", rows)
    write_lines(data / "speech.jsonl", speech_rows(ear, data, 2))
    result = evaluate(bench(tmp_path, system=System()))
    for title in ("deletion", "speed", "speaking"):
        row = table(result, title).rows[0]
        assert row.values["wer"] is None
        assert "--recognizer" in row.reasons["wer"]
    assert "--speaker" in table(result, "speaking").rows[0].reasons["sim"]
    assert all(aim.verdict != "met" for aim in result.aims if "ACC" in aim.what)


def test_what_is_heard_is_remembered(ear: Ear, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_lines(data / "edits.jsonl", [edit_row(ear, data, "a", "delete")])
    first = evaluate(bench(tmp_path, ear, system=System()))
    asked = ear.num_asked
    again = evaluate(bench(tmp_path, ear, system=System()))
    assert ear.num_asked == asked
    assert again.as_dict() == first.as_dict()
    json.dumps(first.as_dict())


def test_nothing_to_measure_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(InvalidInputError, match="neither"):
        evaluate(bench(tmp_path))
    (tmp_path / "data" / "speech.jsonl").write_text('{"id": "a"}\n')
    with pytest.raises(InvalidInputError, match="line 1"):
        evaluate(bench(tmp_path))
