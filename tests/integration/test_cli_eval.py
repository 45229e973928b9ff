"""`uniaudio eval` against faked services, with judges of our own: reports, resuming, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from tests.fakes_server import NUM_SAMPLES, FakeServices, serve
from tests.unit.evaluation.ears import Ear
from uniaudio.cli.app import app
from uniaudio.errors import InvalidAudioError, UnavailableError
from uniaudio.evaluation.mel_net import MelNetConfig
from uniaudio.evaluation.recognizer import Recognizer, RecognizerNet
from uniaudio.evaluation.recordings import read_recording
from uniaudio.evaluation.speaker import SpeakerEncoder, SpeakerNet

TINY = MelNetConfig(num_mels=16, width=16, hidden=16, num_blocks=1, kernel_size=3)


@pytest.fixture
def fake() -> Iterator[FakeServices]:
    with serve(FakeServices()) as services:
        yield services


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder, ear = tmp_path / "data", Ear()
    for name in ("a", "b", "a.target"):
        ear.say(folder / f"{name}.wav", name, seconds=1.2)
    speech = [
        {"id": name, "audio": f"{name}.wav", "text": "hello there", "speaker": "one", "new_voice": True}
        for name in ("a", "b")
    ]
    edit = {
        "id": "e", "edit_type": "delete", "instruction": "delete 'old'", "source_audio": "a.wav",
        "target_audio": "a.target.wav", "source_text": "hello old there", "target_text": "hello there",
    }  # fmt: skip
    (folder / "speech.jsonl").write_text("".join(json.dumps(row) + "\n" for row in speech))
    (folder / "edits.jsonl").write_text(json.dumps(edit) + "\n")
    return folder


@pytest.fixture
def judges(tmp_path: Path) -> list[object]:
    torch.manual_seed(0)
    recognizer = Recognizer(net=RecognizerNet(TINY).eval(), floors={"plain": 0.5})
    speaker = SpeakerEncoder(net=SpeakerNet(TINY).eval(), accuracy={"right_voice": 0.9})
    return [
        "--recognizer", recognizer.save(tmp_path / "recognizer", {}),
        "--speaker", speaker.save(tmp_path / "speaker", {}),
    ]  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["eval", *(str(argument) for argument in arguments)])


def of_system(fake: FakeServices) -> list[object]:
    return ["--system", fake.address]


def test_a_running_system(fake: FakeServices, data: Path, tmp_path: Path, judges: list[object]) -> None:
    out = tmp_path / "out"
    result = run("synthetic", "--data", data, "--out", out, *of_system(fake), *judges)
    assert result.exit_code == 0, result.output
    for part in ("transcription", "deletion", "coverage", "wer_inhouse/micro", "not measured", "0.00 %"):
        assert part in result.stdout, part
    told = json.loads((out / "result.json").read_text())
    assert told["settings"]["system"]["model"] == "fake-model"
    assert [model["metric"] for model in told["models"]] == ["wer_inhouse", "sim_inhouse"]
    assert len(told["models"][0]["weights_sha256"]) == 64
    assert (out / "report.html").stat().st_size > 10_000
    assert len(read_recording(out / "outputs/delete/e.wav")) == NUM_SAMPLES

    num_requests = len(fake.requests)
    again = run("synthetic", "--data", data, "--out", out, *of_system(fake), *judges)
    assert again.exit_code == 0
    assert len(fake.requests) == num_requests + 1, "everything but the system's name was kept"
    told_again = json.loads((out / "result.json").read_text())
    assert told_again["tables"] == told["tables"]


def test_outputs_of_any_system(data: Path, tmp_path: Path, judges: list[object]) -> None:
    outputs = tmp_path / "theirs"
    Ear().say(outputs / "reconstruct" / "a.wav", "a", seconds=1.2)
    result = run(
        "synthetic", "--data", data, "--outputs", outputs, "--out", tmp_path / "out", *judges, "--json"
    )
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    table = next(table for table in told["tables"] if "reconstruction" in table["title"])
    assert (table["rows"][0]["num_scored"], table["rows"][0]["num_expected"]) == (1, 2)
    assert table["rows"][0]["values"]["pesq_wb"] > 4.6


def test_codec_through_the_tokenizer_service(fake: FakeServices, data: Path, tmp_path: Path) -> None:
    result = run("codec", "--data", data, "--out", tmp_path / "out", *of_system(fake), "--limit", 1)
    assert result.exit_code == 0, result.output
    assert "1 of 1" in result.stdout
    made = read_recording(tmp_path / "out/outputs/a.target.wav")
    assert np.isfinite(made).all()


def test_an_answer_that_fails_is_missing_and_an_absent_system_stops(
    fake: FakeServices, data: Path, tmp_path: Path
) -> None:
    fake.failures["Edit"] = [InvalidAudioError("cannot edit this")]
    result = run("synthetic", "--data", data, "--out", tmp_path / "out", *of_system(fake), "--json")
    assert result.exit_code == 0, result.output
    item = next(item for item in json.loads(result.stdout)["items"] if item["id"] == "e")
    assert item["reasons"]["all"] == "cannot edit this"

    fake.failures["Edit"] = [UnavailableError("the model is away")]
    result = run("synthetic", "--data", data, "--out", tmp_path / "again", *of_system(fake))
    assert (result.exit_code, "away" in result.stderr) == (4, True)


def test_wrong_usage_is_two(data: Path, tmp_path: Path) -> None:
    common = ("--data", data, "--out", tmp_path / "out")
    for arguments in (
        ("singing", *common, "--outputs", tmp_path),
        ("codec", *common),
        ("codec", *common, "--outputs", tmp_path, "--system", "localhost:1"),
        ("codec", "--data", tmp_path / "none", "--out", tmp_path, "--outputs", tmp_path),
        ("codec", *common, "--outputs", tmp_path, "--engine", "steam"),
        ("contextasr", *common, "--outputs", tmp_path, "--context", "all"),
    ):
        assert run(*arguments).exit_code == 2, arguments


def test_a_judge_that_is_none_is_refused(data: Path, tmp_path: Path) -> None:
    result = run(
        "codec", "--data", data, "--outputs", tmp_path, "--out", tmp_path / "o", "--recognizer", data
    )
    assert (result.exit_code, "config.json" in result.stderr) == (1, True)
    result = run("codec", "--data", data, "--outputs", tmp_path, "--out", tmp_path / "o", "--whisper", data)
    assert (result.exit_code, "transformers" in result.stderr) == (1, True)


def test_the_synthetic_suite_takes_the_judges_that_ship(data: Path, tmp_path: Path) -> None:
    result = run("synthetic", "--data", data, "--outputs", tmp_path, "--out", tmp_path / "o", "--json")
    assert result.exit_code == 0, result.output
    models = json.loads(result.stdout)["models"]
    assert [model["metric"] for model in models] == ["wer_inhouse", "sim_inhouse"]
    with_codec = run("codec", "--data", data, "--outputs", tmp_path, "--out", tmp_path / "c", "--json")
    assert "wer_inhouse" not in [model["metric"] for model in json.loads(with_codec.stdout)["models"]]
