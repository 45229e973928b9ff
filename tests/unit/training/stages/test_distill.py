"""Distillation: the student nears the teacher, all else stays, and the gate remembers how near."""

import json

import pytest
import torch

from tests.small_tokenizer import small_tokenizer
from tests.spoken_corpus import WhistledCorpus
from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import BuildContext, OptimizerConfig
from training.objectives.distillation import DistanceCount
from training.run_folder import RunFolder
from training.stage import Share
from training.stages.distill import DistillConfig, DistillStage, load_teacher
from training.stages.gate import DistillationGateError, GateRecord, require_gate, write_gate
from training.stages.speech_batch import SpeechBatches
from training.stages.teacher_encoder import TeacherConfig, TeacherEncoder
from training.weights import flat_weights
from uniaudio.errors import InvalidInputError

TEACHER = TeacherConfig(dim=24, num_layers=1, num_heads=3, num_mels=8)
OPTIMIZER = OptimizerConfig(learning_rate=1e-3)


def distill_stage(folder, teacher=None):
    torch.manual_seed(0)
    tokenizer = small_tokenizer(hop_length=320, input_dim=320)
    tokenizer.semantic.requires_grad_(True)
    teacher = (teacher or TeacherEncoder(TEACHER)).requires_grad_(False)
    train, held_out = (
        SpeechBatches(WhistledCorpus(seed=s), seed=0, batch_size=6, noise_dim=6) for s in (0, 1)
    )
    return DistillStage(tokenizer, teacher, "small", train, held_out, OPTIMIZER, folder, num_evaluated=6)


@pytest.fixture
def stage(tmp_path):
    return distill_stage(tmp_path / "distill")


def test_only_the_semantic_module_learns_and_its_projection_stays(stage):
    trained = {n for n, p in stage.tokenizer.named_parameters() if p.requires_grad}
    assert all(name.startswith("_semantic.") and "projection" not in name for name in trained)
    assert any("expansion" in name for name in trained)
    stage.loss("semantic", stage.batch(0, Share()), 0).value.backward()
    assert all(p.grad is not None for p in stage.tokenizer.semantic.parameters() if p.requires_grad)


def test_losses_of_shares_add_up(stage):
    assert_shares_add_up(stage, "semantic", 0, count=4)


def test_the_distance_falls_and_the_gate_file_says_how_far(stage):
    with torch.no_grad():
        before = stage.evaluate(0).metrics["distillation_mse"]
    optimizer = torch.optim.AdamW([p for p in stage.tokenizer.semantic.parameters() if p.requires_grad], 1e-2)
    for step in range(40):
        optimizer.zero_grad()
        stage.loss("semantic", stage.batch(step, Share()), step).value.backward()
        optimizer.step()
    with torch.no_grad():
        metrics = stage.evaluate(40).metrics
    assert metrics["distillation_mse"] < 0.7 * before
    record = json.loads((stage.run_folder / "distillation.json").read_text())
    assert record["mse"] == metrics["distillation_mse"]
    assert (record["step"], record["teacher"]) == (40, "small")
    assert stage.state() == {"distillation_mse": metrics["distillation_mse"]}


def test_state_survives(stage, tmp_path):
    with torch.no_grad():
        stage.evaluate(1)
    other = distill_stage(tmp_path / "other")
    other.load_state(stage.state())
    assert other.state() == stage.state()


def test_a_teacher_of_another_width_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="16 wide"):
        distill_stage(tmp_path, TeacherEncoder(TeacherConfig(dim=16, num_layers=1, num_heads=2, num_mels=8)))


def test_the_recipes_teacher_is_read_from_its_run_and_frozen(tmp_path):
    trained = TeacherEncoder(TEACHER)
    folder = RunFolder(tmp_path / "teacher")
    folder.path.mkdir()
    folder.finish(10, flat_weights({"teacher": trained}))
    context = BuildContext(seed=0, device="cpu", data=tmp_path, runs=tmp_path)
    config = DistillConfig(
        tokenizer=small_tokenizer().config, run="distill", acoustic_run="acoustic", teacher=TEACHER
    )
    teacher, name = load_teacher(context, config)
    assert name == "teacher"
    assert not any(p.requires_grad for p in teacher.parameters())
    waveform = torch.randn(1, 640)
    torch.testing.assert_close(teacher(waveform), trained(waveform).detach())


def test_the_gate_opens_below_its_limit_only(tmp_path):
    with pytest.raises(DistillationGateError, match="train the distillation first"):
        require_gate(tmp_path)
    write_gate(tmp_path, GateRecord(mse=0.1, explained=0.8, step=5, teacher="small"))
    with pytest.raises(DistillationGateError, match=r"0\.1000 by step 5; below 0\.1") as refused:
        require_gate(tmp_path)
    assert refused.value.reason == "DISTILLATION_GATE"
    passed = GateRecord(mse=0.09, explained=0.9, step=9, teacher="small")
    write_gate(tmp_path, passed)
    assert require_gate(tmp_path) == passed
    (tmp_path / "distillation.json").write_text("{")
    with pytest.raises(DistillationGateError, match="cannot be read"):
        require_gate(tmp_path)


def test_a_distance_that_is_not_a_number_does_not_pass(tmp_path):
    write_gate(tmp_path, GateRecord(mse=float("nan"), explained=0.0, step=5, teacher="small"))
    with pytest.raises(DistillationGateError):
        require_gate(tmp_path)


def test_guessing_the_mean_explains_nothing():
    teacher = torch.randn(50, 8)
    count = DistanceCount()
    count.add(teacher.mean(0).expand(50, -1), teacher)
    assert count.explained == pytest.approx(0, abs=1e-6)
    assert count.mse == pytest.approx(teacher.var(0, correction=0).mean().item())
