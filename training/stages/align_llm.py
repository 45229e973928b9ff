"""The small LLM of the unified stage learns to transcribe the teacher's features, before it is frozen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.config import BuildContext, OptimizerConfig
from training.data.spoken import SYNTHETIC, Corpora
from training.objectives.distillation import Teacher
from training.stage import Evaluation, Player, Share, StepLoss
from training.stages.distill import DistillConfig, load_teacher
from training.stages.speech_batch import SpeechBatch, SpeechBatches, corpus_batches, pack
from training.stages.transcript_reader import ReaderConfig, TranscriptReader
from uniaudio.errors import InvalidInputError
from uniaudio.text.distance import edit_distance

_NUM_TRANSCRIBED = 32


@dataclass(frozen=True, kw_only=True)
class AlignLlmConfig:
    """`feature_noise` is added to the teacher's features: a student's will be off by about as much."""

    reader: ReaderConfig
    distillation: DistillConfig
    batch_size: int = 16
    max_frames: int = 500
    padded_frames: int | None = None
    feature_noise: float = 0.3
    num_evaluated: int = 64
    corpora: Corpora = SYNTHETIC


@dataclass(frozen=True)
class AlignBatch:
    """Speech and the letters of the whole step, one end for each utterance included."""

    speech: SpeechBatch
    step_letters: int


class AlignLlmStage:
    """Trains the reader on a frozen teacher's features."""

    def __init__(
        self,
        config: AlignLlmConfig,
        teacher: Teacher,
        train: SpeechBatches,
        held_out: SpeechBatches,
        optimizer: OptimizerConfig,
    ) -> None:
        if teacher.output_dim != config.reader.unified_dim:
            raise InvalidInputError(
                f"the teacher's features are {teacher.output_dim} wide, the reader expects "
                f"{config.reader.unified_dim}; give both the same width"
            )
        self.config, self.teacher = config, teacher
        self.train, self.held_out = train, held_out
        self.reader = TranscriptReader(config.reader)
        self.modules: Mapping[str, nn.Module] = {"reader": self.reader}
        self.players = (Player(name="reader", modules=self.modules, optimizer=optimizer),)

    def batch(self, step: int, share: Share) -> AlignBatch:
        """Whole utterances."""
        return AlignBatch(self.train.batch(step, share), num_letters(self.train, step))

    def loss(self, player: str, batch: AlignBatch, step: int) -> StepLoss:
        """Cross-entropy per letter."""
        features = self._features(batch.speech)
        noisy = features + self.config.feature_noise * batch.speech.noise
        summed = self.reader(noisy, batch.speech.lengths, batch.speech.texts)
        value = summed / batch.step_letters
        return StepLoss(value=value, metrics={"align": value.detach()})

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """Held-out cross-entropy per letter, and the error rate of transcripts."""
        return Evaluation(
            metrics=reading_metrics(self.reader, self.held_out, self._features, self.config.num_evaluated)
        )

    def state(self) -> Mapping[str, Any]:
        """Nothing but weights."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""

    @torch.no_grad()
    def _features(self, speech: SpeechBatch) -> Tensor:
        device = self.reader.llm.word_embeddings.weight.device
        return pack(self.teacher(speech.waveform.to(device)), speech.lengths)


def num_letters(batches: SpeechBatches, step: int) -> int:
    """Letters that a step asks for, the end of every utterance included."""
    plan = batches.plan(step)
    return plan.num_characters + len(plan.indices)


def reading_metrics(
    reader: TranscriptReader,
    held_out: SpeechBatches,
    unified_of: Callable[[SpeechBatch], Tensor],
    num_evaluated: int,
) -> dict[str, float]:
    """`align`, cross-entropy per letter, and `character_error` of the first 32, on held-out utterances."""
    total = letters = errors = spelled = transcribed = 0.0
    for speech in held_out.fixed_batches(num_evaluated):
        unified = unified_of(speech)
        total += float(reader(unified, speech.lengths, speech.texts))
        letters += sum(len(text) + 1 for text in speech.texts)
        if transcribed < _NUM_TRANSCRIBED:
            found = reader.transcribe(unified, speech.lengths)
            errors += sum(edit_distance(a, b) for a, b in zip(found, speech.texts, strict=True))
            spelled += sum(len(text) for text in speech.texts)
            transcribed += len(found)
    return {"align": total / letters, "character_error": errors / spelled}


def build_align_llm(
    context: BuildContext, config: AlignLlmConfig, optimizer: OptimizerConfig
) -> AlignLlmStage:
    """The stage on the teacher that `config.distillation` names."""
    teacher, _ = load_teacher(context, config.distillation)
    train, held_out = corpus_batches(
        context,
        batch_size=config.batch_size,
        hop_length=config.distillation.tokenizer.hop_length,
        max_frames=config.max_frames,
        noise_dim=teacher.output_dim,
        padded_frames=config.padded_frames,
        corpora=config.corpora,
    )
    return AlignLlmStage(config, teacher, train, held_out, optimizer)
