"""S1: the semantic module learns a teacher's features from latents; all else is frozen (8.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.config import BuildContext, OptimizerConfig
from training.data.spoken import SYNTHETIC, Corpora
from training.objectives.distillation import DistanceCount, Teacher, distillation_loss
from training.objectives.whisper_encoder import WhisperEncoder, initialise_semantic
from training.objectives.whisper_weights import load_whisper_encoder, whisper_config
from training.stage import Evaluation, Player, Share, StepLoss
from training.stages.gate import MSE_LIMIT, GateRecord, write_gate
from training.stages.latents import encode_packed
from training.stages.speech_batch import SpeechBatch, SpeechBatches, corpus_batches, pack
from training.stages.teacher_encoder import TeacherConfig, TeacherEncoder, initialise_from_teacher
from training.weights import StoredWeights, fill_modules
from uniaudio.errors import InvalidInputError
from uniaudio.tokenizer.config import TokenizerConfig
from uniaudio.tokenizer.model import AudioTokenizer


@dataclass(frozen=True, kw_only=True)
class DistillConfig:
    """What is distilled into what.

    `run` is the distillation's own name: the gate's record lies in its folder. The teacher is the run
    `teacher_run`, or, with `whisper`, a local Whisper (a path, relative to the work folder's data). The semantic
    module begins with its blocks, or with that of the run that it `continues`. `batch_size` and `padded_frames` are
    those of `SpeechBatches`.
    """

    tokenizer: TokenizerConfig
    run: str
    acoustic_run: str
    teacher_run: str = "teacher"
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    whisper: str | None = None
    continues: str | None = None
    batch_size: int = 16
    padded_frames: int | None = None
    max_frames: int = 500
    num_evaluated: int = 64
    corpora: Corpora = SYNTHETIC


@dataclass(frozen=True)
class DistillBatch:
    """Speech with the noise of its posterior, and the frames of the whole step."""

    speech: SpeechBatch
    step_frames: int


class DistillStage:
    """Trains `tokenizer.semantic`; after every look it leaves the gate's record in `run_folder`."""

    def __init__(
        self,
        tokenizer: AudioTokenizer,
        teacher: Teacher,
        teacher_name: str,
        train: SpeechBatches,
        held_out: SpeechBatches,
        optimizer: OptimizerConfig,
        run_folder: Path,
        num_evaluated: int = 64,
    ) -> None:
        if teacher.output_dim != tokenizer.unified_dim:
            raise InvalidInputError(
                f"the teacher's features are {teacher.output_dim} wide, unified embeddings "
                f"{tokenizer.unified_dim}; give both the same width"
            )
        self.tokenizer, self.teacher, self.teacher_name = tokenizer, teacher, teacher_name
        self.train, self.held_out, self.num_evaluated = train, held_out, num_evaluated
        self.run_folder, self._last_mse = run_folder, float("nan")
        tokenizer.encoder.requires_grad_(False)
        tokenizer.semantic.projection.requires_grad_(False)  # the decoder's, fixed since the acoustic stage
        self.modules: Mapping[str, nn.Module] = {"semantic": tokenizer.semantic}
        self.players = (Player(name="semantic", modules=self.modules, optimizer=optimizer),)

    def batch(self, step: int, share: Share) -> DistillBatch:
        """Whole utterances: the semantic module sees the whole past."""
        return DistillBatch(self.train.batch(step, share), self.train.plan(step).num_frames)

    def loss(self, player: str, batch: DistillBatch, step: int) -> StepLoss:
        """Mean squared distance to the teacher over the step's frames."""
        student, teacher = self._both(batch.speech)
        value = distillation_loss(student, teacher, batch.step_frames)
        return StepLoss(value=value, metrics={"distillation_mse": value.detach()})

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """Held-out distance, recorded for the gate."""
        count = DistanceCount()
        for speech in self.held_out.fixed_batches(self.num_evaluated):
            count.add(*self._both(speech))
        self._last_mse = count.mse
        record = GateRecord(mse=count.mse, explained=count.explained, step=step, teacher=self.teacher_name)
        write_gate(self.run_folder, record)
        metrics = {
            "distillation_mse": count.mse,
            "explained": count.explained,
            "gate_passed": float(count.mse < MSE_LIMIT),
        }
        return Evaluation(metrics=metrics)

    def state(self) -> Mapping[str, Any]:
        """The last held-out distance."""
        return {"distillation_mse": self._last_mse}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back the last held-out distance."""
        self._last_mse = float(state["distillation_mse"])

    @property
    def passed(self) -> bool:
        """Whether the last look was below the gate's limit."""
        return self._last_mse < MSE_LIMIT

    def example(self) -> tuple[Tensor, Tensor]:
        """Student's and teacher's features `(T, dim)` of the first held-out utterance, to be looked at."""
        speech = self.held_out.fixed_batches(1)[0]
        with torch.no_grad():
            return self._both(speech)

    def _both(self, speech: SpeechBatch) -> tuple[Tensor, Tensor]:
        """Student's and teacher's features `(N, dim)`."""
        device = self.tokenizer.semantic.expansion.weight.device
        waveform, noise = speech.waveform.to(device), speech.noise.to(device)
        with torch.no_grad():
            teacher = pack(self.teacher(waveform), speech.lengths)
            latents = encode_packed(self.tokenizer, waveform, speech.lengths).sample(noise)
        return self.tokenizer.semantic(latents, speech.lengths), teacher


def build_distill(context: BuildContext, config: DistillConfig, optimizer: OptimizerConfig) -> DistillStage:
    """The stage on frozen weights of earlier runs; the semantic module begins as `DistillConfig` says."""
    tokenizer = AudioTokenizer(config.tokenizer)
    if config.continues is not None:
        fill_modules({"semantic": tokenizer.semantic}, StoredWeights(context.weights_of(config.continues)))
    # Last, since semantic module and decoder share a projection, which is the tokenizer's.
    fill_modules(
        {"encoder": tokenizer.encoder, "decoder": tokenizer.decoder},
        StoredWeights(context.weights_of(config.acoustic_run)),
    )
    teacher, name = load_teacher(context, config)
    if config.continues is None:
        if isinstance(teacher, WhisperEncoder):
            initialise_semantic(tokenizer.semantic, teacher)
        elif isinstance(teacher, TeacherEncoder):
            initialise_from_teacher(tokenizer.semantic, teacher)
    tokenizer.to(context.device)
    train, held_out = corpus_batches(
        context,
        batch_size=config.batch_size,
        hop_length=tokenizer.hop_length,
        max_frames=config.max_frames,
        noise_dim=tokenizer.latent_dim,
        padded_frames=config.padded_frames,
        corpora=config.corpora,
    )
    return DistillStage(
        tokenizer,
        teacher,
        name,
        train,
        held_out,
        optimizer,
        context.runs / config.run,
        config.num_evaluated,
    )


def sized_as_whisper(sizes: TokenizerConfig, whisper: Path) -> TokenizerConfig:
    """The sizes with a semantic module that a local Whisper's encoder fits, block by block."""
    found = whisper_config(whisper)
    return replace(
        sizes,
        unified_dim=found.dim,
        num_semantic_layers=found.num_layers,
        num_semantic_heads=found.num_heads,
    )


def load_teacher(context: BuildContext, config: DistillConfig) -> tuple[Teacher, str]:
    """The frozen teacher and its name in reports."""
    if config.whisper is not None:
        whisper = load_whisper_encoder(context.data / config.whisper, device=context.device)
        return whisper, f"Whisper {Path(config.whisper).name}"
    teacher = TeacherEncoder(config.teacher)
    fill_modules({"teacher": teacher}, StoredWeights(context.weights_of(config.teacher_run)))
    return teacher.to(context.device).requires_grad_(False).eval(), config.teacher_run
