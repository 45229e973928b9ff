"""The distillation experiment: a Whisper decides the student's sizes, and the report says what was reached."""

import json

import pytest
import torch

from tests.small_tokenizer import small_tokenizer
from tests.spoken_corpus import WhistledCorpus
from tests.whispers import save_whisper
from training.config import OptimizerConfig
from training.experiments.distillation import Choice, distill_config
from training.experiments.distillation_report import Experiment, distillation_report
from training.objectives.whisper_encoder import WhisperConfig
from training.objectives.whisper_weights import whisper_config
from training.recipes.nano_sizes import TOKENIZER
from training.run_folder import RunFolder
from training.stages.distill import DistillStage
from training.stages.gate import GateRecord, write_gate
from training.stages.speech_batch import SpeechBatches
from training.stages.teacher_encoder import TeacherConfig, TeacherEncoder


def experiment(folder, mse):
    torch.manual_seed(0)
    tokenizer = small_tokenizer(hop_length=320, input_dim=320)
    tokenizer.semantic.requires_grad_(True)
    batches = SpeechBatches(WhistledCorpus(), seed=0, batch_size=4, noise_dim=6)
    teacher = TeacherEncoder(TeacherConfig(dim=24, num_layers=1, num_heads=3, num_mels=8))
    optimizer = OptimizerConfig(learning_rate=1e-3)
    stage = DistillStage(tokenizer, teacher, "small", batches, batches, optimizer, folder)
    write_gate(folder, GateRecord(mse=mse, explained=0.9, step=20, teacher="small"))
    lines = [
        {"step": 10, "distillation_mse": 0.5},
        {"step": 10, "evaluation/distillation_mse": 0.6, "evaluation/explained": 0.3},
        {"step": 20, "distillation_mse": 0.2},
        {"step": 20, "evaluation/distillation_mse": mse},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Experiment(stage=stage, folder=RunFolder(folder), num_steps=20, seconds=90.0)


@pytest.mark.parametrize(("mse", "verdict"), [(0.08, "Passed"), (0.1, "Failed")])
def test_the_report_says_whether_the_gate_was_met(tmp_path, mse, verdict):
    page = distillation_report(experiment(tmp_path, mse)).render()
    assert verdict in page
    assert f"held-out MSE {mse:.4f} at step 20" in page
    assert "20 of at most 20" in page
    assert page.count("data:image/png") == 2


def test_a_whisper_decides_width_depth_and_heads(tmp_path):
    path = tmp_path / "tiny.pt"
    config = WhisperConfig(num_mels=8, dim=32, num_heads=2, num_layers=3, num_positions=25)
    whisper = save_whisper(path, config)
    assert whisper_config(path) == whisper.config
    choice = Choice(whisper=path)
    sizes = distill_config(choice).tokenizer
    assert (sizes.unified_dim, sizes.num_semantic_layers, sizes.num_semantic_heads) == (32, 3, 2)
    assert sizes.encoder == TOKENIZER.encoder
    assert choice.run == "experiment-distillation-tiny"


def test_without_a_whisper_the_recipes_teacher_teaches():
    config = distill_config(Choice())
    assert config.whisper is None
    assert config.teacher_run == "nano-teacher"
    assert config.tokenizer == TOKENIZER
