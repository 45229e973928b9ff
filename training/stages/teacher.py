"""The small teacher's own training: which phone was spoken a moment ago, and which letters were.

Phones come with their times from the synthesiser. They are asked for `delay_frames` late, so that a feature
that hears nothing ahead can still know what it describes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, ctc_loss
from torch.nn.utils.rnn import pad_sequence

from training.config import BuildContext, OptimizerConfig
from training.data.spoken import SpokenCorpus
from training.data.utterance import Span
from training.stage import Evaluation, Player, Share, StepLoss
from training.stages.characters import BLANK, NUM_CHARACTERS, decode_ctc, encode_characters
from training.stages.speech_batch import SpeechBatch, SpeechBatches, corpus_batches, pack
from training.stages.teacher_encoder import TeacherConfig, TeacherEncoder
from training.weights import StoredWeights, fill_modules
from uniaudio.errors import InvalidInputError
from uniaudio.text.distance import edit_distance

_IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class TeacherStageConfig:
    """How the teacher learns; `delay_frames` of 20 ms after a sound it is asked what the sound was.

    `feature_noise` is added to what the heads read. A feature that survives noise of its own size spends
    its variance on what was said, and a student has less of chance to copy: it gets much nearer.
    """

    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    batch_size: int = 16
    max_frames: int = 500
    delay_frames: int = 4
    character_weight: float = 0.5
    feature_noise: float = 0.0
    num_evaluated: int = 64

    def __post_init__(self) -> None:
        if self.delay_frames < 0:
            raise InvalidInputError(
                f"delay_frames is {self.delay_frames}; nothing is heard before it is said"
            )


@dataclass(frozen=True)
class TeacherBatch:
    """Speech, the phone of every packed frame `(sum(lengths),)`, and what the whole step counts."""

    speech: SpeechBatch
    phones: Tensor
    step_frames: int
    step_characters: int


class TeacherHeads(nn.Module):
    """Features `(..., dim)` to logits of phones and of letters; only the training needs them."""

    def __init__(self, dim: int, num_phones: int) -> None:
        super().__init__()
        self.phones = nn.Linear(dim, num_phones)
        self.characters = nn.Linear(dim, NUM_CHARACTERS)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.phones(features), self.characters(features)


class TeacherStage:
    """Trains the teacher; `inventory` names the phones, in the order of the logits."""

    def __init__(
        self,
        config: TeacherStageConfig,
        inventory: Sequence[str],
        train: SpeechBatches,
        held_out: SpeechBatches,
        optimizer: OptimizerConfig,
    ) -> None:
        if not inventory:
            raise InvalidInputError("the corpus names no phones: the teacher learns from phone times")
        self.config, self.train, self.held_out = config, train, held_out
        self.teacher = TeacherEncoder(config.teacher)
        self.heads = TeacherHeads(config.teacher.dim, len(inventory))
        self.modules: Mapping[str, nn.Module] = {"teacher": self.teacher, "heads": self.heads}
        self.players = (Player(name="teacher", modules=self.modules, optimizer=optimizer),)
        self._ids = {label: number for number, label in enumerate(inventory)}

    def batch(self, step: int, share: Share) -> TeacherBatch:
        """Whole utterances with their phones."""
        plan = self.train.plan(step)
        return self._with_phones(
            self.train, self.train.batch(step, share), plan.num_frames, plan.num_characters
        )

    def loss(self, player: str, batch: TeacherBatch, step: int) -> StepLoss:
        """Cross-entropy of delayed phones per frame, and CTC of the letters per letter."""
        features = self.teacher(batch.speech.waveform)
        if self.config.feature_noise:
            noises = list(torch.split(batch.speech.noise, list(batch.speech.lengths)))
            features = features + self.config.feature_noise * pad_sequence(noises, batch_first=True)
        phones, characters = self.heads(features)
        rows = pack(phones, batch.speech.lengths).float()
        phone = cross_entropy(rows, batch.phones, ignore_index=_IGNORED, reduction="sum") / batch.step_frames
        letters = _ctc(characters, batch.speech) / batch.step_characters
        known = batch.phones != _IGNORED
        metrics = {
            "phone": phone.detach(),
            "characters": letters.detach(),
            "phone_accuracy": (rows.argmax(-1) == batch.phones).sum(),
            "phone_accuracy/count": known.sum(),
        }
        return StepLoss(value=phone + self.config.character_weight * letters, metrics=metrics)

    def after_step(self, step: int) -> Mapping[str, float]:
        """Nothing is done between steps."""
        return {}

    def evaluate(self, step: int) -> Evaluation:
        """On held-out sentences: how many frames' phones are right, and the letters' error rate.

        `feature_variance` is what guessing the mean feature would cost a student, at most 1.
        """
        right = known = errors = letters = 0
        features = []
        for speech in self.held_out.fixed_batches(self.config.num_evaluated):
            batch = self._with_phones(self.held_out, speech, 1, 1)
            heard = self.teacher(speech.waveform.to(self._device))
            phones, characters = (logits.argmax(-1).cpu() for logits in self.heads(heard))
            labelled = batch.phones != _IGNORED
            right += int((pack(phones, speech.lengths) == batch.phones).sum())
            known += int(labelled.sum())
            for text, ids, length in zip(speech.texts, characters, speech.lengths, strict=True):
                errors += edit_distance(decode_ctc(ids[:length].tolist()), text)
                letters += len(text)
            features.append(pack(heard, speech.lengths))
        metrics = {
            "phone_accuracy": right / max(known, 1),
            "character_error": errors / max(letters, 1),
            "feature_variance": float(torch.cat(features).var(0, correction=0).mean()),
        }
        return Evaluation(metrics=metrics)

    def state(self) -> Mapping[str, Any]:
        """Nothing but weights."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Nothing to take back."""

    @property
    def _device(self) -> torch.device:
        return self.teacher.input.weight.device

    def _with_phones(
        self, source: SpeechBatches, speech: SpeechBatch, step_frames: int, step_characters: int
    ) -> TeacherBatch:
        labels = [
            frame_phones(
                source.corpus.phones(index), length, source.hop_length, self.config.delay_frames, self._ids
            )
            for index, length in zip(speech.indices, speech.lengths, strict=True)
        ]
        packed = np.concatenate(labels) if labels else np.zeros(0, np.int64)
        return TeacherBatch(speech, torch.from_numpy(packed), step_frames, step_characters)


def frame_phones(
    phones: Sequence[Span], num_frames: int, hop_length: int, delay_frames: int, ids: Mapping[str, int]
) -> NDArray[np.int64]:
    """What is asked of every frame `(num_frames,)`: the phone at the middle of the frame `delay_frames` ago.

    -100 where nothing was said yet, between phones, and for phones without an id.
    """
    labels = np.full(num_frames, _IGNORED, np.int64)
    middles = (np.arange(num_frames - delay_frames) + 0.5) * hop_length
    spoken = labels[delay_frames:]
    for span in phones:
        spoken[(middles >= span.start) & (middles < span.end)] = ids.get(span.label, _IGNORED)
    return labels


def phone_inventory(corpus: SpokenCorpus) -> tuple[str, ...]:
    """The names of all phones of a corpus, sorted."""
    return tuple(sorted({span.label for index in range(len(corpus)) for span in corpus.phones(index)}))


def build_teacher(
    context: BuildContext,
    config: TeacherStageConfig,
    optimizer: OptimizerConfig,
    continues: str | None = None,
) -> TeacherStage:
    """The stage on the corpus of the run's data folder; its encoder is fresh, or that of the run that it `continues`.

    Its heads are always fresh: they name the phones of the corpus.
    """
    train, held_out = corpus_batches(
        context,
        batch_size=config.batch_size,
        hop_length=config.teacher.hop_length,
        max_frames=config.max_frames,
        noise_dim=config.teacher.dim,
    )
    stage = TeacherStage(config, phone_inventory(train.corpus), train, held_out, optimizer)
    if continues is not None:
        fill_modules({"teacher": stage.teacher}, StoredWeights(context.weights_of(continues)))
    return stage


def _ctc(logits: Tensor, speech: SpeechBatch) -> Tensor:
    """Summed negative log-likelihood of the transcripts; one longer than its frames counts nothing."""
    targets = [encode_characters(text) for text in speech.texts]
    return ctc_loss(
        logits.float().log_softmax(-1).transpose(0, 1),
        torch.tensor([i for ids in targets for i in ids], device=logits.device),
        torch.tensor(speech.lengths),
        torch.tensor([len(ids) for ids in targets]),
        blank=BLANK,
        reduction="sum",
        zero_infinity=True,
    )
