"""The released tokenizer's stages train on recordings, through DALI, with a Whisper's file as the teacher."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from tests.recordings_on_disk import write_hums
from tests.whispers import save_whisper
from training.objectives.whisper_encoder import WhisperConfig
from training.recipes.mingtok import mingtok
from training.recipes.mingtok_release import release_mingtok
from training.train import app
from uniaudio.checkpoint import Checkpoint
from uniaudio.tokenizer import AudioTokenizer

WHISPER = WhisperConfig(num_mels=8, dim=64, num_heads=2, num_layers=2, num_positions=1500)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "mingtok"
    folder.mkdir(parents=True)
    write_hums(folder / "train.jsonl", [1.2, 1.5, 2.0, 1.1], sample_rate=24000)
    write_hums(folder / "dev.jsonl", [1.5])
    write_hums(folder / "noise.jsonl", [0.5])
    save_whisper(folder / "whisper", WHISPER)
    return tmp_path


def test_all_stages_train_on_recordings(work: Path) -> None:
    done = CliRunner().invoke(app, ["mingtok", "--short", "--work", str(work)])
    assert done.exit_code == 0, done.output
    looked = {
        run.name: (work / "runs" / run.name / "metrics.jsonl").read_text() for run in mingtok(short=True)
    }
    assert '"discriminator/discriminator"' in looked["mingtok-acoustic"]
    assert '"evaluation/gate_passed": 0.0' in looked["mingtok-distillation"]
    assert '"evaluation/align"' in looked["mingtok-reader"]
    assert '"evaluation/mel"' in looked["mingtok-unified"]
    gate = json.loads((work / "runs" / "mingtok-distillation" / "distillation.json").read_text())
    assert gate["teacher"] == "Whisper whisper"
    checkpoint = Checkpoint(release_mingtok(work, work / "out", short=True))
    tokenizer = AudioTokenizer.from_checkpoint(checkpoint)
    assert (tokenizer.unified_dim, len(tokenizer.semantic.blocks)) == (WHISPER.dim, WHISPER.num_layers)
    assert tokenizer.decode(torch.zeros(1, 7, tokenizer.latent_dim)).shape == (1, 7 * 320)


def test_what_the_paper_tells() -> None:
    acoustic, distillation, _, unified = mingtok()
    assert [run.num_steps for run in (acoustic, distillation, unified)] == [200_000] * 3
    assert set(unified.needs) == {"mingtok-acoustic", "mingtok-distillation", "mingtok-reader"}
