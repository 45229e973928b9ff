"""The small teacher: it hears nothing ahead, and learns sounds and letters of a whistled corpus."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.spoken_corpus import WhistledCorpus
from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import OptimizerConfig
from training.data.utterance import Span
from training.stage import Share
from training.stages.speech_batch import SpeechBatches
from training.stages.teacher import TeacherStage, TeacherStageConfig, frame_phones, phone_inventory
from training.stages.teacher_encoder import (
    TeacherConfig,
    TeacherEncoder,
    causal_log_mel,
    initialise_from_teacher,
)
from uniaudio.errors import InvalidInputError
from uniaudio.nn.rope import rotary_tables
from uniaudio.tokenizer.semantic import SemanticModule

TEACHER = TeacherConfig(dim=32, num_layers=1, num_heads=2, num_mels=20)
CONFIG = TeacherStageConfig(teacher=TEACHER, batch_size=8, delay_frames=1, num_evaluated=8)
OPTIMIZER = OptimizerConfig(learning_rate=3e-3)


@pytest.fixture
def stage():
    torch.manual_seed(0)
    train, held_out = (
        SpeechBatches(WhistledCorpus(seed=s), seed=0, batch_size=8, noise_dim=32) for s in (0, 1)
    )
    return TeacherStage(CONFIG, phone_inventory(train.corpus), train, held_out, OPTIMIZER)


def test_a_feature_hears_nothing_after_its_frame():
    teacher = TeacherEncoder(TEACHER)
    waveform = 0.1 * torch.randn(1, 3200)
    changed = waveform.clone()
    changed[:, 5 * 320 :] = 0.5
    before, after = teacher(waveform), teacher(changed)
    assert torch.equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().max() > 1e-3


def test_features_have_unit_variance_and_one_row_per_frame_begun():
    features = TeacherEncoder(TEACHER)(0.1 * torch.randn(2, 3201))
    assert features.shape == (2, 11, 32)
    torch.testing.assert_close(features.var(-1, correction=0), torch.ones(2, 11), rtol=1e-3, atol=0)


def test_the_front_end_is_as_precise_under_autocast():
    waveform = 0.1 * torch.randn(1, 960)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = causal_log_mel(waveform, 20, 320)
    assert narrow.shape == (1, 3, 40)
    torch.testing.assert_close(narrow, causal_log_mel(waveform, 20, 320))


def test_a_phone_is_asked_for_after_the_delay():
    phones = (Span("a", 0, 640), Span("b", 640, 960), Span("unknown", 960, 1280))
    labels = frame_phones(phones, 6, 320, 2, {"a": 0, "b": 1})
    assert labels.tolist() == [-100, -100, 0, 0, 1, -100]


def test_losses_of_shares_add_up(stage):
    assert_shares_add_up(stage, "teacher", 0, count=3)


def test_it_learns_to_hear_the_whistles(stage):
    with torch.no_grad():
        before = stage.evaluate(0).metrics
    optimizer = torch.optim.AdamW([p for m in stage.modules.values() for p in m.parameters()], 1e-2)
    for step in range(60):
        optimizer.zero_grad()
        stage.loss("teacher", stage.batch(step, Share()), step).value.backward()
        optimizer.step()
    with torch.no_grad():
        after = stage.evaluate(60).metrics
    assert after["phone_accuracy"] > max(0.8, before["phone_accuracy"])
    assert after["character_error"] < before["character_error"]
    assert 0 < after["feature_variance"] <= 1


def test_a_student_begins_with_the_teachers_first_blocks():
    teacher = TeacherEncoder(replace(TEACHER, num_layers=2))
    for num_layers in (1, 2):
        semantic = SemanticModule(nn.Linear(4, 8), 32, num_layers, 2)
        initialise_from_teacher(semantic, teacher)
        for ours, theirs in zip(semantic.blocks, teacher.blocks, strict=False):
            assert torch.equal(ours.attention.query.weight, theirs.attention.query.weight)
    for dim, num_layers, num_heads in ((32, 3, 2), (32, 2, 4), (16, 2, 1)):
        with pytest.raises(InvalidInputError, match="cannot begin as a teacher of 2, 32 and 16"):
            initialise_from_teacher(SemanticModule(nn.Linear(4, 8), dim, num_layers, num_heads), teacher)


def test_with_equal_blocks_the_students_rest_is_the_teachers_end():
    torch.manual_seed(0)
    teacher, semantic = TeacherEncoder(TEACHER), SemanticModule(nn.Linear(4, 8), 32, 1, 2)
    initialise_from_teacher(semantic, teacher)
    waveform = 0.1 * torch.randn(1, 3200)
    mel = causal_log_mel(waveform, 20, 320)[0]
    found = teacher.expansion(torch.nn.functional.gelu(teacher.input(mel)))
    tables = rotary_tables(torch.arange(10), 16, 10000.0)
    for block in semantic.blocks:
        found = block(found, tables, [10], None)
    torch.testing.assert_close(semantic.norm(found), teacher(waveform)[0])


def test_a_corpus_without_phones_is_refused(stage):
    with pytest.raises(InvalidInputError, match="no phones"):
        TeacherStage(CONFIG, (), stage.train, stage.held_out, OPTIMIZER)


def test_sizes_that_cannot_be_are_refused():
    with pytest.raises(InvalidInputError, match="even width"):
        replace(TEACHER, num_heads=3)
    with pytest.raises(InvalidInputError, match="delay_frames is -1"):
        replace(CONFIG, delay_frames=-1)
