"""The loss of the language model's stages: velocities, ends of speech and text, from one pass (8.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from training.data.sequences import SequenceBatch
from training.data.step_batches import StepBatch
from training.objectives.flow_matching import FlowMatchingConfig, flow_loss
from training.objectives.own_past import reading_own
from training.objectives.stop import stop_loss
from training.objectives.text import num_right, text_loss
from training.stage import StepLoss
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.tokenizer.semantic import SemanticModule


@dataclass(frozen=True, kw_only=True)
class SpeechModules:
    """Everything between latents and latents; `auxiliary` is training's own and is not exported."""

    language: LanguageModel
    pooling: LinearPooling
    flow_head: FlowHead
    stop_head: StopHead
    semantic: SemanticModule
    auxiliary: nn.Linear | None = None

    def named(self) -> dict[str, nn.Module]:
        """The modules by name."""
        named: dict[str, nn.Module] = {
            "llm": self.language,
            "pooling": self.pooling,
            "flow_head": self.flow_head,
            "stop_head": self.stop_head,
            "semantic": self.semantic,
        }
        return named if self.auxiliary is None else {**named, "auxiliary": self.auxiliary}


@dataclass(frozen=True, kw_only=True)
class SpeechLossConfig:
    """Weights of the parts; text and flow have weight 1.

    `auxiliary`: what a linear layer predicts from the hidden state of a patch before it is made, which
    helps small models to find what to say: its "latents", or its "unified" embeddings, which hold the
    words without the waveform's chance. With "none" there is no such layer.

    `letters_weight`: of the cross-entropy with which the language model's own text head names, before each
    patch, the letter that the patch speaks. What was just heard predicts the next 100 ms so well that a
    small model overlooks the text for hours; the letters cannot be told without it. Needs word times.
    """

    flow: FlowMatchingConfig
    stop_weight: float = 0.01
    auxiliary: Literal["none", "latents", "unified"] = "none"
    auxiliary_weight: float = 0.5
    letters_weight: float = 0.0

    def auxiliary_layer(self, hidden_size: int, head: FlowHead, unified_dim: int) -> nn.Linear | None:
        """The layer that this config needs."""
        if self.auxiliary == "none":
            return None
        width = head.config.latent_dim if self.auxiliary == "latents" else unified_dim
        return nn.Linear(hidden_size, head.config.patch_size * width)


@dataclass(frozen=True)
class HiddenStates:
    """Hidden states `(N, H)` of a batch, and the unified embeddings `(num_patches * P, U)` it read."""

    hidden: Tensor
    unified: Tensor


def hidden_states(modules: SpeechModules, batch: SequenceBatch) -> HiddenStates:
    """One pass over the packed sequences, every patch given as it is in the batch."""
    frames = [count * modules.pooling.patch_size for count in batch.patch_counts]
    trained = any(parameter.requires_grad for parameter in modules.semantic.parameters())
    with torch.set_grad_enabled(trained and torch.is_grad_enabled()):
        unified: Tensor = modules.semantic(batch.read_latents, frames)
    tokens = modules.language.embed(batch.token_ids)
    patches: Tensor = modules.pooling(unified)
    embeddings = tokens.index_copy(0, batch.patch_positions, patches.to(tokens.dtype))
    return HiddenStates(modules.language(embeddings, batch.lengths, None, batch.audio_mask), unified)


def speech_loss(modules: SpeechModules, batch: StepBatch, config: SpeechLossConfig) -> StepLoss:
    """The share's part of the step's loss, and of each kind of loss by itself."""
    batch, states = _states(modules, batch)
    parts: dict[str, Tensor] = {}
    metrics: dict[str, Tensor] = {}
    if batch.totals.labels:
        _text_part(modules, batch, states.hidden, parts, metrics)
    if batch.totals.targets:
        _speech_parts(modules, batch, states, config, parts, metrics)
    weights = {
        "stop": config.stop_weight,
        "auxiliary": config.auxiliary_weight,
        "letters": config.letters_weight,
    }
    value = torch.stack([weights.get(name, 1.0) * part for name, part in parts.items()]).sum()
    metrics |= {name: part.detach() for name, part in parts.items()}
    return StepLoss(
        value=value, metrics={f"{batch.tasks}/{name}": metric for name, metric in metrics.items()}
    )


def _states(modules: SpeechModules, batch: StepBatch) -> tuple[StepBatch, HiddenStates]:
    """The batch as it is read, with patches of the model's own where they were drawn, and the pass over it.

    The unified embeddings are always those of the recordings.
    """
    sequences = batch.sequences
    if sequences.own is None:
        return batch, hidden_states(modules, sequences)
    with torch.no_grad():
        recorded = hidden_states(modules, sequences)
        conditions = recorded.hidden.index_select(0, _consumed(sequences) - 1)
        read = reading_own(modules.flow_head, sequences, conditions)
    return replace(batch, sequences=read), HiddenStates(hidden_states(modules, read).hidden, recorded.unified)


def _consumed(sequences: SequenceBatch) -> Tensor:
    """Positions where the targets are read, once they are made."""
    return sequences.patch_positions.index_select(0, sequences.target_patches)


def _text_part(
    modules: SpeechModules,
    batch: StepBatch,
    hidden: Tensor,
    parts: dict[str, Tensor],
    metrics: dict[str, Tensor],
) -> None:
    labels = batch.sequences.labels
    logits = modules.language.logits(hidden.index_select(0, batch.sequences.label_positions))
    parts["text"] = text_loss(logits, labels, batch.totals.labels)
    metrics["right"] = num_right(logits, labels).float()
    metrics["right/count"] = metrics["right"].new_tensor(float(len(labels)))


def _speech_parts(
    modules: SpeechModules,
    batch: StepBatch,
    states: HiddenStates,
    config: SpeechLossConfig,
    parts: dict[str, Tensor],
    metrics: dict[str, Tensor],
) -> None:
    sequences, totals = batch.sequences, batch.totals
    if sequences.flow is None:  # this share of a mixed step only listens
        return
    consumed = _consumed(sequences)
    # The position before a patch conditions it; the one that consumes it says whether it was the last.
    conditions = states.hidden.index_select(0, consumed - 1)
    parts["flow"] = flow_loss(
        modules.flow_head,
        conditions.index_select(0, sequences.chosen),
        sequences.flow,
        totals.flow_values,
        config.flow.channel_weights,
    )
    stop_logits = modules.stop_head(states.hidden.index_select(0, consumed))
    parts["stop"] = stop_loss(stop_logits, sequences.target_counts, totals.utterances)
    if config.letters_weight:
        named = torch.nonzero(sequences.letters >= 0)[:, 0]
        logits = modules.language.logits(conditions.index_select(0, named))
        letters = sequences.letters.index_select(0, named)
        parts["letters"] = text_loss(logits, letters, totals.targets)
        if len(letters):  # word times are not always known
            metrics["letters_right"] = num_right(logits, letters).float()
            metrics["letters_right/count"] = metrics["letters_right"].new_tensor(float(len(letters)))
    if modules.auxiliary is not None:
        predicted = modules.auxiliary(conditions).float()
        wanted = _auxiliary_targets(modules, sequences, states.unified, config)
        errors = (predicted - wanted).square()
        if config.auxiliary == "latents" and config.flow.channel_weights:
            weights = errors.new_tensor(config.flow.channel_weights)
            errors = errors.view(len(errors), -1, len(weights)) * (weights / weights.mean())
        parts["auxiliary"] = errors.sum() / (totals.targets * wanted.shape[1])


def _auxiliary_targets(
    modules: SpeechModules, sequences: SequenceBatch, unified: Tensor, config: SpeechLossConfig
) -> Tensor:
    """`(num_targets, P * width)`, float32."""
    if config.auxiliary == "latents":
        return sequences.clean_latents.flatten(1)
    patches = unified.detach().view(-1, modules.pooling.patch_size * unified.shape[-1])
    return patches.index_select(0, sequences.target_patches).float()


def metrics_of(loss: StepLoss) -> Mapping[str, float]:
    """A whole step's metrics as numbers: ratios divided, parts as they are."""
    values = {name: float(value) for name, value in loss.metrics.items()}
    return {
        name: value / values[f"{name}/count"] if f"{name}/count" in values else value
        for name, value in values.items()
        if not name.endswith("/count")
    }
