"""The unified stage: closed until distillation has passed, and then only the semantic module moves."""

from dataclasses import replace

import pytest
import torch

from tests.small_tokenizer import small_tokenizer
from tests.spoken_corpus import WhistledCorpus
from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import BuildContext, OptimizerConfig
from training.stage import Share
from training.stages.gate import DistillationGateError, GateRecord, write_gate
from training.stages.speech_batch import SpeechBatches
from training.stages.transcript_reader import ReaderConfig, TranscriptReader, letter_model
from training.stages.unified import UnifiedConfig, UnifiedLosses, UnifiedStage, build_unified
from uniaudio.errors import InvalidInputError

READER = ReaderConfig(unified_dim=24, patch_size=5, language_model=letter_model(32, 1, 2))
LOSSES = UnifiedLosses(segment_frames=8, reconstruction_warmup_steps=2)
PASSED = GateRecord(mse=0.05, explained=0.9, step=7, teacher="small")


def unified_stage(folder, losses=LOSSES, min_frames=8):
    torch.manual_seed(0)
    tokenizer = small_tokenizer(hop_length=320, input_dim=320)
    tokenizer.semantic.requires_grad_(True)
    train, held_out = (
        SpeechBatches(WhistledCorpus(seed=s), seed=0, batch_size=4, min_frames=min_frames, noise_dim=6)
        for s in (0, 1)
    )
    optimizer = OptimizerConfig(learning_rate=1e-3)
    reader = TranscriptReader(READER)
    return UnifiedStage(tokenizer, reader, losses, train, held_out, optimizer, folder, num_evaluated=4)


@pytest.fixture
def stage(tmp_path):
    write_gate(tmp_path, PASSED)
    return unified_stage(tmp_path)


def test_it_does_not_start_before_the_gate_is_met(tmp_path):
    with pytest.raises(DistillationGateError, match="train the distillation first"):
        unified_stage(tmp_path)
    write_gate(tmp_path, replace(PASSED, mse=0.12))
    with pytest.raises(DistillationGateError, match=r"0\.1200"):
        unified_stage(tmp_path)


def test_the_build_asks_the_gate_before_it_reads_anything(tmp_path):
    context = BuildContext(seed=0, device="cpu", data=tmp_path / "absent", runs=tmp_path)
    config = UnifiedConfig(
        tokenizer=small_tokenizer().config,
        acoustic_run="acoustic",
        distillation_run="distill",
        align_run="align",
        reader=READER,
    )
    with pytest.raises(DistillationGateError):
        build_unified(context, config, OptimizerConfig(learning_rate=1e-4))


def test_only_the_semantic_module_and_its_reconstruction_learn(stage):
    stage.loss("semantic", stage.batch(5, Share()), 5).value.backward()
    trained = [p for m in stage.modules.values() for p in m.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.any() for p in trained)
    projection = stage.tokenizer.semantic.projection
    frozen = [stage.tokenizer.encoder, stage.tokenizer.decoder, stage.reader, projection]
    assert not any(p.requires_grad for module in frozen for p in module.parameters())


def test_at_first_the_waveform_teaches_the_reconstruction_alone(stage):
    words_alone = replace(LOSSES, mel_weight=0.0)
    gradients = []
    for losses in (LOSSES, words_alone):
        stage.losses = losses
        stage.tokenizer.semantic.zero_grad()
        stage.loss("semantic", stage.batch(1, Share()), 1).value.backward()
        gradients.append(stage.tokenizer.semantic.norm.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_losses_of_shares_add_up(stage):
    assert_shares_add_up(stage, "semantic", 3, count=3)


def test_segments_lie_inside_their_utterances(stage):
    for step in range(20):
        batch = stage.batch(step, Share())
        assert all(0 <= s <= n - 8 for s, n in zip(batch.starts, batch.speech.lengths, strict=True))


def test_both_losses_fall(stage):
    first = stage.loss("semantic", stage.batch(0, Share()), 9).metrics
    parameters = [p for m in stage.modules.values() for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        stage.loss("semantic", stage.batch(0, Share()), 9).value.backward()
        optimizer.step()
    last = stage.loss("semantic", stage.batch(0, Share()), 9).metrics
    assert last["align"] < first["align"]
    assert last["mel"] < first["mel"]


def test_a_look_carries_what_the_distillation_reached(stage, tmp_path):
    with torch.no_grad():
        seen = stage.evaluate(10)
    assert seen.metrics["distillation_mse"] == 0.05
    assert seen.metrics["signature/incomplete_distillation"] == 0
    assert {"align", "character_error", "mel"} <= seen.metrics.keys()
    assert len(seen.audio) == 2
    assert all(waveform.ndim == 1 and len(waveform) % 320 == 0 for waveform in seen.audio.values())
    assert "signature/incomplete_distillation" in seen.figures
    other = unified_stage(tmp_path)
    other.load_state(stage.state())
    assert other.state() == stage.state()


def test_a_stalled_run_on_a_poor_distillation_is_named(tmp_path):
    write_gate(tmp_path, replace(PASSED, mse=0.09))
    stage = unified_stage(tmp_path)
    with torch.no_grad():
        shown = [stage.evaluate(step).metrics["signature/incomplete_distillation"] for step in range(6)]
    assert shown[0] == 0
    assert shown[-1] == 1


def test_segments_longer_than_utterances_are_refused(tmp_path):
    write_gate(tmp_path, PASSED)
    with pytest.raises(InvalidInputError, match="raise min_frames"):
        unified_stage(tmp_path, min_frames=1)
