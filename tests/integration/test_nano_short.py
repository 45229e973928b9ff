"""nano's whole recipe in its short form, up to a checkpoint that the engine loads and speaks with."""

import pytest
import torch
import typer
from typer.testing import CliRunner

from tests.synthesisers import needs_synthesisers
from training.experiments import distillation
from training.recipes.judges_release import release_judges
from training.recipes.nano import nano
from training.recipes.nano_begin import begin_nano
from training.recipes.nano_release import release_nano
from training.train import app
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.recognizer import Recognizer
from uniaudio.evaluation.speaker import SpeakerEncoder
from uniaudio.tokenizer.ear import load_ear
from uniaudio.tokenizer.model import AudioTokenizer

pytestmark = [
    needs_synthesisers,
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nano")
    done = CliRunner().invoke(app, ["nano", "--short", "--work", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


def test_every_run_finishes_and_is_not_trained_twice(work):
    runs = {run.name for run in nano(short=True)}
    assert {path.parent.name for path in work.glob("runs/*/weights.safetensors")} == runs
    again = CliRunner().invoke(app, ["nano", "--short", "--work", str(work)])
    assert again.exit_code == 0
    assert again.output.count("finished before") == len(runs)


def test_the_distillation_experiment_says_that_the_gate_was_not_reached(work):
    command = typer.Typer()
    command.command()(distillation.main)
    done = CliRunner().invoke(command, ["--short", "--work", str(work)])
    assert done.exit_code == distillation.NOT_REACHED, done.output
    page = (work / "reports" / "experiment-distillation.html").read_text()
    assert "Failed" in page
    assert "4 of at most 4" in page


def test_what_ships_is_small_and_loads(work, tmp_path):
    folder = release_nano(work / "runs", tmp_path / "nano")
    sizes = [path.stat().st_size for path in folder.glob("*.safetensors")]
    assert max(sizes) < 16_000_000
    assert sum(sizes) <= 32_000_000
    checkpoint = Checkpoint(folder)
    tokenizer = AudioTokenizer.from_checkpoint(checkpoint)
    assert tokenizer.decode(torch.zeros(1, 7, 64)).shape == (1, 7 * 320)
    assert SpeechModel.from_checkpoint(checkpoint).text_tokenizer.end_id


def test_training_begins_again_with_what_ships(work, tmp_path):
    shipped = release_nano(work / "runs", tmp_path / "nano")
    begin_nano(shipped, tmp_path / "runs", language_run="nano-steady")
    again = release_nano(tmp_path / "runs", tmp_path / "again")
    first, second = Checkpoint(shipped), Checkpoint(again)
    assert first.keys() == second.keys()
    assert all(torch.equal(first.tensor(key), second.tensor(key)) for key in first.keys())
    ears = [load_ear(folder) for folder in (shipped, again)]
    assert ears[0].config.num_channels == 24
    assert all(torch.equal(*pair) for pair in zip(*(ear.state_dict().values() for ear in ears), strict=True))
    with pytest.raises(InvalidInputError, match="is there already"):
        begin_nano(shipped, tmp_path / "runs")
    with pytest.raises(InvalidInputError, match="no run 'nano-odd'"):
        begin_nano(shipped, tmp_path / "others", language_run="nano-odd")


def test_its_judges_are_written_with_their_own_errors(work, tmp_path):
    done = CliRunner().invoke(app, ["judges", "--short", "--work", str(work)])
    assert done.exit_code == 0, done.output
    recognizer, speaker = release_judges(work, tmp_path, num_items=4)
    assert Recognizer.load(recognizer).floors
    assert SpeakerEncoder.load(speaker).accuracy.keys() <= {"right_voice"}
