"""The reader: what it is asked for, that company changes nothing, and that it learns to spell."""

from dataclasses import replace

import pytest
import torch

from tests.small_tokenizer import small_tokenizer
from tests.spoken_corpus import WhistledCorpus
from tests.unit.training.stages.shares import assert_shares_add_up
from training.config import OptimizerConfig
from training.stage import Share
from training.stages.align_llm import AlignLlmConfig, AlignLlmStage
from training.stages.distill import DistillConfig
from training.stages.speech_batch import SpeechBatches
from training.stages.teacher_encoder import TeacherConfig, TeacherEncoder
from training.stages.transcript_reader import ReaderConfig, TranscriptReader, letter_model
from uniaudio.errors import InvalidInputError

READER = ReaderConfig(unified_dim=24, patch_size=2, language_model=letter_model(32, 2, 2))


LETTERS = " 'abcdefghijklmnopqrstuvwxyz0123456789"


class Spelling:
    """A teacher that says outright which whistle it hears."""

    output_dim = 24

    def __call__(self, waveform):
        power = torch.fft.rfft(waveform.unfold(1, 320, 320)).abs()[..., 6:54]
        return torch.nn.functional.layer_norm(power.unflatten(-1, (24, 2)).amax(-1), (24,))


def align_stage(teacher=None):
    torch.manual_seed(0)
    train, held_out = (
        SpeechBatches(WhistledCorpus(400, seed=s), seed=0, batch_size=8, noise_dim=24) for s in (0, 1)
    )
    distillation = DistillConfig(tokenizer=small_tokenizer().config, run="distill", acoustic_run="acoustic")
    config = AlignLlmConfig(reader=READER, distillation=distillation, feature_noise=0.1, num_evaluated=8)
    return AlignLlmStage(config, teacher or Spelling(), train, held_out, OptimizerConfig(learning_rate=1e-3))


def test_losses_of_shares_add_up():
    assert_shares_add_up(align_stage(), "reader", 0, count=3)


def test_it_learns_to_spell():
    stage = align_stage()
    optimizer = torch.optim.AdamW(stage.reader.parameters(), 5e-3)
    for step in range(80):
        optimizer.zero_grad()
        stage.loss("reader", stage.batch(step, Share()), step).value.backward()
        optimizer.step()
    with torch.no_grad():
        metrics = stage.evaluate(80).metrics
    assert metrics["align"] < 1.2
    assert metrics["character_error"] < 0.6


def test_transcripts_are_the_likeliest_letters_alone_or_in_company():
    torch.manual_seed(1)
    reader = TranscriptReader(READER).eval()
    unified = torch.randn(9 + 5, 24)
    together = reader.transcribe(unified, [9, 5], max_letters=6)
    alone = [reader.transcribe(piece, [len(piece)], max_letters=6)[0] for piece in unified.split([9, 5])]
    assert together == alone
    assert all(len(text) <= 6 for text in together)


def test_every_letter_and_the_end_are_counted():
    torch.manual_seed(1)
    reader = TranscriptReader(READER).eval()
    unified = torch.randn(8, 24)
    with torch.no_grad():
        spelled = sum(float(reader(unified, [8], [letter]).exp() ** -1) for letter in LETTERS)
        empty = float(reader(unified, [8], [""]).exp() ** -1)
    # One letter and the end, over all letters, is less likely than any letter at all.
    assert 0 < spelled < 1 - empty


def test_a_teacher_of_another_width_is_refused():
    with pytest.raises(InvalidInputError, match="16 wide"):
        align_stage(TeacherEncoder(TeacherConfig(dim=16, num_layers=1, num_heads=2)))


def test_a_vocabulary_without_room_for_letters_is_refused():
    with pytest.raises(InvalidInputError, match="vocab_size is 10"):
        ReaderConfig(unified_dim=4, language_model=replace(letter_model(), vocab_size=10))
