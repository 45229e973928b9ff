"""S2: the semantic module learns to serve words and sound at once; all else is frozen (8.1).

`2 * L_align + L_mel`: a frozen LLM has to find the transcript in the unified embeddings, and the decoder
has to find the waveform, through a projection of its own (`reconstruction`, the published fc3, which only
this stage uses). No adversary: the authors found that it hurts what the embeddings mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.config import BuildContext, OptimizerConfig
from training.data.spoken import SYNTHETIC, Corpora
from training.monitors.board import Board
from training.monitors.distillation import DistillationWatch
from training.objectives.spectral import mel_loss
from training.stage import Evaluation, Player, Share, StepLoss
from training.stages.align_llm import num_letters, reading_metrics
from training.stages.gate import MSE_LIMIT, require_gate
from training.stages.latents import encode_packed
from training.stages.speech_batch import SpeechBatch, SpeechBatches, corpus_batches
from training.stages.transcript_reader import ReaderConfig, TranscriptReader
from training.weights import StoredWeights, fill_modules
from uniaudio.errors import InvalidInputError
from uniaudio.tokenizer.config import TokenizerConfig
from uniaudio.tokenizer.model import AudioTokenizer

_NUM_HEARD = 2


@dataclass(frozen=True, kw_only=True)
class UnifiedLosses:
    """Weights as published, and how the waveform is asked for.

    For the first `reconstruction_warmup_steps` only `reconstruction` learns from the waveform: it begins at
    random, and its first gradients would undo what was distilled.
    """

    align_weight: float = 2.0
    mel_weight: float = 1.0
    segment_frames: int = 32
    reconstruction_warmup_steps: int = 200


@dataclass(frozen=True, kw_only=True)
class UnifiedConfig:
    """Which runs the frozen parts come from, and the sizes of a step.

    Only a trial of a few steps, which shows that the stages fit together, raises `gate_limit`.
    """

    tokenizer: TokenizerConfig
    acoustic_run: str
    distillation_run: str
    align_run: str
    reader: ReaderConfig
    losses: UnifiedLosses = field(default_factory=UnifiedLosses)
    batch_size: int = 12
    padded_frames: int | None = None
    max_frames: int = 500
    num_evaluated: int = 48
    gate_limit: float = MSE_LIMIT
    corpora: Corpora = SYNTHETIC


@dataclass(frozen=True)
class UnifiedBatch:
    """Speech, where in each utterance the waveform is asked for (frames), and what the whole step counts."""

    speech: SpeechBatch
    starts: tuple[int, ...]
    step_letters: int
    step_utterances: int


class UnifiedStage:
    """Trains `tokenizer.semantic` and its `reconstruction`.

    Raises DistillationGateError at once unless the distillation in `distillation_folder` passed its gate.
    """

    def __init__(
        self,
        tokenizer: AudioTokenizer,
        reader: TranscriptReader,
        losses: UnifiedLosses,
        train: SpeechBatches,
        held_out: SpeechBatches,
        optimizer: OptimizerConfig,
        distillation_folder: Path,
        num_evaluated: int = 48,
        gate_limit: float = MSE_LIMIT,
    ) -> None:
        self._gate = require_gate(distillation_folder, gate_limit)
        if train.min_frames < losses.segment_frames:
            raise InvalidInputError(
                f"utterances of {train.min_frames} frames are shorter than a segment of "
                f"{losses.segment_frames}; raise min_frames"
            )
        self.tokenizer, self.reader, self.losses = tokenizer, reader, losses
        self.train, self.held_out, self.num_evaluated = train, held_out, num_evaluated
        self.reconstruction = nn.Linear(tokenizer.unified_dim, tokenizer.config.decoder.hidden_size)
        for frozen in (tokenizer.encoder, tokenizer.decoder, reader):
            frozen.requires_grad_(False)
        self.modules: Mapping[str, nn.Module] = {
            "semantic": tokenizer.semantic,
            "reconstruction": self.reconstruction,
        }
        self.players = (Player(name="semantic", modules=self.modules, optimizer=optimizer),)
        self._board = Board(watch := DistillationWatch())
        self._watch = watch

    def batch(self, step: int, share: Share) -> UnifiedBatch:
        """Whole utterances, and a segment of each."""
        speech = self.train.batch(step, share)
        draws = self.train.fractions(step, share)
        spare = [length - self.losses.segment_frames for length in speech.lengths]
        starts = tuple(int(draw * (count + 1)) for draw, count in zip(draws, spare, strict=True))
        step_utterances = len(self.train.plan(step).indices)
        return UnifiedBatch(speech, starts, num_letters(self.train, step), step_utterances)

    def loss(self, player: str, batch: UnifiedBatch, step: int) -> StepLoss:
        """Alignment per letter and mel distance per utterance, weighted."""
        speech = batch.speech
        unified = self._unified(speech)
        align = self.reader(unified, speech.lengths, speech.texts) / batch.step_letters
        seen = unified.detach() if step < self.losses.reconstruction_warmup_steps else unified
        mel = self._mel_losses(seen, batch).sum() / batch.step_utterances
        metrics = {"align": align.detach(), "mel": mel.detach()}
        return StepLoss(
            value=self.losses.align_weight * align + self.losses.mel_weight * mel, metrics=metrics
        )

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """Held-out alignment, transcripts and mel distance, how the gate was passed, and two recordings."""
        metrics = reading_metrics(self.reader, self.held_out, self._unified, self.num_evaluated)
        mel, audio = self._listen()
        self._watch.add(step, alignment_loss=metrics["align"], teacher_mse=self._gate.mse)
        shown = self._board.look()
        metrics |= {"mel": mel, "distillation_mse": self._gate.mse, **shown.metrics}
        return Evaluation(
            metrics=metrics, audio=audio, figures=shown.figures, sample_rate=self.tokenizer.sample_rate
        )

    def state(self) -> Mapping[str, Any]:
        """What the distillation had reached, and what its watch has seen."""
        return {"distillation_mse": self._gate.mse, "watches": self._board.state()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Takes back what the watch had seen."""
        self._board.load_state(state["watches"])

    def _unified(self, speech: SpeechBatch) -> Tensor:
        device = self.reconstruction.weight.device
        with torch.no_grad():
            posterior = encode_packed(self.tokenizer, speech.waveform.to(device), speech.lengths)
            latents = posterior.sample(speech.noise.to(device))
        unified: Tensor = self.tokenizer.semantic(latents, speech.lengths)
        return unified

    def _mel_losses(self, unified: Tensor, batch: UnifiedBatch) -> Tensor:
        """Mel distance `(B,)` of every utterance's segment, decoded from its unified embeddings."""
        count, hop = self.losses.segment_frames, self.tokenizer.hop_length
        items = torch.split(unified, list(batch.speech.lengths))
        cut = [item[start : start + count] for item, start in zip(items, batch.starts, strict=True)]
        estimate = self._decode(torch.cat(cut), [count] * len(cut))
        target = torch.stack(
            [
                waveform[start * hop : (start + count) * hop]
                for waveform, start in zip(batch.speech.waveform, batch.starts, strict=True)
            ]
        )
        return mel_loss(estimate, target.to(estimate), self.tokenizer.sample_rate)

    def _decode(self, unified: Tensor, lengths: list[int]) -> Tensor:
        """Waveforms `(B, hop_length * T)` of packed unified embeddings of equal lengths."""
        decoder = self.tokenizer.decoder
        hidden = decoder.backbone(self.reconstruction(unified), lengths)
        # A phase in bfloat16 is audible.
        with torch.autocast(hidden.device.type, enabled=False):
            out: Tensor = decoder.head(hidden.float().view(len(lengths), lengths[0], -1))
        return out

    def _listen(self) -> tuple[float, dict[str, Any]]:
        """Mel distance of whole held-out utterances, and the first of them as they sound."""
        distances: list[float] = []
        audio: dict[str, Any] = {}
        for speech in self.held_out.fixed_batches(self.num_evaluated):
            items = torch.split(self._unified(speech), list(speech.lengths))
            for item, waveform, text in zip(items, speech.waveform, speech.texts, strict=True):
                estimate = self._decode(item, [len(item)])
                target = waveform[None, : estimate.shape[1]].to(estimate)
                distances.append(float(mel_loss(estimate, target, self.tokenizer.sample_rate)))
                if len(audio) < _NUM_HEARD:
                    audio[f"from unified embeddings: {text}"] = estimate[0].cpu().numpy()
        return sum(distances) / len(distances), audio


def build_unified(context: BuildContext, config: UnifiedConfig, optimizer: OptimizerConfig) -> UnifiedStage:
    """The stage on frozen weights of earlier runs, and the distilled semantic module.

    Raises DistillationGateError, before anything is read, unless the distillation passed its gate.
    """
    distillation_folder = context.runs / config.distillation_run
    require_gate(distillation_folder, config.gate_limit)
    tokenizer, reader = AudioTokenizer(config.tokenizer), TranscriptReader(config.reader)
    frozen = {"encoder": tokenizer.encoder, "decoder": tokenizer.decoder}
    fill_modules(frozen, StoredWeights(context.weights_of(config.acoustic_run)))
    fill_modules({"semantic": tokenizer.semantic}, StoredWeights(context.weights_of(config.distillation_run)))
    fill_modules({"reader": reader}, StoredWeights(context.weights_of(config.align_run)))
    tokenizer.to(context.device)
    reader.to(context.device)
    train, held_out = corpus_batches(
        context,
        batch_size=config.batch_size,
        hop_length=tokenizer.hop_length,
        min_frames=config.losses.segment_frames,
        max_frames=config.max_frames,
        noise_dim=tokenizer.latent_dim,
        padded_frames=config.padded_frames,
        corpora=config.corpora,
    )
    return UnifiedStage(
        tokenizer,
        reader,
        config.losses,
        train,
        held_out,
        optimizer,
        distillation_folder,
        config.num_evaluated,
        config.gate_limit,
    )
