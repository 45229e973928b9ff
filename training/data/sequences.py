"""Examples as sequences of positions, with the prompts of inference, and many of them packed (8.4, 8.5).

The same builders make the prompts here and in the engine, so the model is trained on what it will read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.latent_folder import StoredPosterior
from training.objectives.flow_matching import (
    FlowMatchingConfig,
    FlowTargets,
    choose_patches,
    draw_targets,
)
from uniaudio.llm.prompt import Prompt, edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.text_tokenizer import TextTokenizer

Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class TrainingSequence:
    """One sequence, without its latents.

    Attributes:
        token_ids: of all positions; those of patches hold a token that their embeddings overwrite.
        patch_positions: where each patch stands, in the order in which the semantic module hears them.
        first_target: index of the first patch to be generated; `len(patch_positions)` if there is none.
        labels: positions whose tokens the model has to write; each is predicted by the one before.
        audio_router: whether the patches go through the audio router: in understanding only.
        frame_weights: of the targets' frames `(num_targets * P,)`; None weighs all alike.
        letters: the token that each target patch speaks in its middle, -1 for none; empty where word times
            are not known.
    """

    token_ids: tuple[int, ...]
    patch_positions: tuple[int, ...]
    first_target: int
    labels: range = range(0)
    audio_router: bool = False
    frame_weights: Floats | None = None
    letters: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def num_patches(self) -> int:
        """Patches that the model reads or makes."""
        return len(self.patch_positions)

    @property
    def num_targets(self) -> int:
        """Patches that the model makes."""
        return self.num_patches - self.first_target


def understanding_sequence(
    tokenizer: TextTokenizer, *, text: str, language: str, num_patches: int, forced_language: bool = False
) -> TrainingSequence:
    """A recording, and what the model writes of it: language, tab, transcript, end (6.3, 8.4).

    With `forced_language` the language stands in the prompt, as callers may have it.
    """
    prompt = understanding_prompt(tokenizer, num_patches, language=language if forced_language else "")
    written = text if forced_language else f"{language}\t{text}"
    answer = (*tokenizer.encode(written), tokenizer.end_id)
    return TrainingSequence(
        token_ids=(*prompt.token_ids, *answer),
        patch_positions=_positions(prompt),
        first_target=num_patches,
        labels=range(len(prompt), len(prompt) + len(answer)),
        audio_router=prompt.audio_router,
    )


def speech_sequence(
    tokenizer: TextTokenizer,
    *,
    text: str,
    num_patches: int,
    prompt_text: str = "",
    num_prompt_patches: int = 0,
    letters: tuple[int, ...] = (),
) -> TrainingSequence:
    """Speech of a text, perhaps continuing a prompt of the same voice; the prompt's patches are targets too."""
    prompt = speak_prompt(tokenizer, text, prompt_text=prompt_text, num_patches=num_prompt_patches)
    spoken = range(len(prompt), len(prompt) + num_patches)
    return TrainingSequence(
        token_ids=(*prompt.token_ids, *[tokenizer.audio_patch_id] * num_patches),
        patch_positions=(*_positions(prompt), *spoken),
        first_target=0,
        letters=letters,
    )


def edit_sequence(
    tokenizer: TextTokenizer,
    *,
    instruction: str,
    plan_text: str,
    num_source_patches: int,
    num_target_patches: int,
    frame_weights: Floats | None = None,
    letters: tuple[int, ...] = (),
) -> TrainingSequence:
    """Source and instruction, the plan where there is one, and the target speech (6.5, 7.4, 8.5)."""
    prompt = edit_prompt(tokenizer, instruction, num_source_patches, reasoning=bool(plan_text))
    written = (*tokenizer.encode(plan_text), tokenizer.gen_audio_id)
    start = len(prompt) + len(written)
    return TrainingSequence(
        token_ids=(*prompt.token_ids, *written, *[tokenizer.audio_patch_id] * num_target_patches),
        patch_positions=(*_positions(prompt), *range(start, start + num_target_patches)),
        first_target=num_source_patches,
        labels=range(len(prompt), start),
        frame_weights=frame_weights,
        letters=letters,
    )


def _positions(prompt: Prompt) -> tuple[int, ...]:
    return tuple(p for span in prompt.audio_spans for p in range(span.start, span.start + span.num_patches))


@dataclass(frozen=True, kw_only=True)
class DrawConfig:
    """What is drawn for every sequence.

    `input_noise` is the largest deviation of noise on the latents that the LLM reads, each sequence with
    a share of its own: generated latents are never as clean as recorded ones. With `noisy_history` the
    flow head's history has it too. With `mean_targets` the flow head learns the posteriors' means instead
    of samples: where the encoder leaves a channel to chance, a small head is not asked to make it.
    `own_share` is the largest share of its targets that a sequence reads as the model makes them, each sequence
    with a share of its own (training/objectives/own_past.py).
    """

    flow: FlowMatchingConfig
    patch_size: int = 5
    input_noise: float = 0.0
    noisy_history: bool = False
    mean_targets: bool = False
    own_share: float = 0.0


@dataclass(frozen=True)
class OwnDraws:
    """Which targets are read as the model makes them `(num_targets,)`, bool, and their noise `(num_targets, P, C)`."""

    is_read: Tensor
    noise: Tensor


@dataclass(frozen=True, kw_only=True)
class SequenceBatch:
    """Sequences end to end, with everything random drawn.

    Attributes:
        lengths: positions of each sequence.
        patch_counts, target_counts: patches of each sequence, and how many of them are targets.
        token_ids: `(N,)`.
        audio_mask: `(N,)`, bool; None if no sequence is for listening.
        read_latents: `(num_patches * P, C)`, what the semantic module hears.
        clean_latents: `(num_targets, P, C)`, of all targets.
        patch_positions: `(num_patches,)`, into the N positions.
        target_patches: `(num_targets,)`, into the patches.
        label_positions, labels: `(L,)`: the token that each of these positions has to predict.
        letters: `(num_targets,)`, the token that each target speaks, -1 for none.
        chosen: `(M,)`, into the targets: those whose flow is learnt.
        flow: their noises and times; None without targets.
        own: what is read as the model makes it; None where everything is read as recorded.
    """

    lengths: tuple[int, ...]
    patch_counts: tuple[int, ...]
    target_counts: tuple[int, ...]
    token_ids: Tensor
    audio_mask: Tensor | None
    read_latents: Tensor
    clean_latents: Tensor
    patch_positions: Tensor
    target_patches: Tensor
    label_positions: Tensor
    labels: Tensor
    letters: Tensor
    chosen: Tensor
    flow: FlowTargets | None
    own: OwnDraws | None = None


@dataclass(frozen=True)
class DrawnSequence:
    """A sequence with its latents `(num_patches * P, C)` as read, its clean targets and their flow."""

    sequence: TrainingSequence
    read_latents: Floats
    clean_targets: Floats
    chosen: NDArray[np.int64]
    flow: FlowTargets | None
    own: OwnDraws | None = None


def draw_sequence(
    sequence: TrainingSequence,
    posteriors: Sequence[StoredPosterior],
    rng: np.random.Generator,
    config: DrawConfig,
) -> DrawnSequence:
    """Latents, noises and times of one sequence; `posteriors` hold its recordings' frames, in order."""
    latents = np.concatenate([posterior.sample(rng) for posterior in posteriors])
    assert len(latents) == sequence.num_patches * config.patch_size
    read = latents
    if config.input_noise:
        level = np.float32(rng.random() * config.input_noise)
        read = latents + level * rng.standard_normal(latents.shape, dtype=np.float32)
    patches = latents.reshape(sequence.num_patches, config.patch_size, -1)
    wanted = np.concatenate([p.mean for p in posteriors]) if config.mean_targets else latents
    targets = wanted.reshape(patches.shape)[sequence.first_target :]
    if not len(targets):
        return DrawnSequence(sequence, read, targets, np.zeros(0, np.int64), None)
    before = read.reshape(patches.shape) if config.noisy_history else patches
    history = np.zeros_like(targets)
    # The first generated patch follows nothing: an edit's history starts afresh after its source (7.4).
    history[1:] = before[sequence.first_target : -1]
    weights = np.ones(targets.shape[:2], np.float32)
    if sequence.frame_weights is not None:
        weights = sequence.frame_weights.reshape(weights.shape)
    chosen = choose_patches(rng, len(targets), config.flow)
    flow = draw_targets(rng, targets[chosen], history[chosen], weights[chosen], config.flow)
    own = _draw_own(rng, targets, config.own_share) if config.own_share else None
    return DrawnSequence(sequence, read, targets, chosen, flow, own)


def _draw_own(rng: np.random.Generator, targets: Floats, most: float) -> OwnDraws:
    is_read = rng.random(len(targets)) < most * rng.random()
    noise = rng.standard_normal(targets.shape, dtype=np.float32)
    return OwnDraws(torch.from_numpy(is_read), torch.from_numpy(noise))


def pack(drawn: Sequence[DrawnSequence]) -> SequenceBatch:
    """Sequences as one batch."""
    sequences = [item.sequence for item in drawn]
    starts = np.cumsum([0, *map(len, sequences)])[:-1]
    first_patches = np.cumsum([0, *(s.num_patches for s in sequences)])[:-1]
    first_targets = np.cumsum([0, *(s.num_targets for s in sequences)])[:-1]
    flows = [item.flow for item in drawn if item.flow is not None]
    owns = [item.own for item in drawn if item.own is not None]
    return SequenceBatch(
        lengths=tuple(map(len, sequences)),
        patch_counts=tuple(s.num_patches for s in sequences),
        target_counts=tuple(s.num_targets for s in sequences if s.num_targets),
        token_ids=_integers([s.token_ids for s in sequences]),
        audio_mask=_audio_mask(sequences),
        read_latents=torch.from_numpy(np.concatenate([item.read_latents for item in drawn])),
        clean_latents=torch.from_numpy(np.concatenate([item.clean_targets for item in drawn])),
        patch_positions=_integers([s.patch_positions for s in sequences], starts),
        target_patches=_integers([range(s.first_target, s.num_patches) for s in sequences], first_patches),
        label_positions=_integers([range(s.labels.start - 1, s.labels.stop - 1) for s in sequences], starts),
        labels=_integers([s.token_ids[s.labels.start : s.labels.stop] for s in sequences]),
        letters=_integers([s.letters or (-1,) * s.num_targets for s in sequences]),
        chosen=_integers([item.chosen for item in drawn], first_targets),
        flow=FlowTargets.joined(flows) if flows else None,
        own=OwnDraws(torch.cat([own.is_read for own in owns]), torch.cat([own.noise for own in owns]))
        if owns
        else None,
    )


def _integers(
    parts: Sequence[Sequence[int] | NDArray[np.int64]], offsets: NDArray[np.int64] | None = None
) -> Tensor:
    """The parts end to end, each with its offset added."""
    arrays = [np.asarray(part, np.int64) for part in parts]
    if offsets is not None:
        arrays = [array + offset for array, offset in zip(arrays, offsets, strict=True)]
    return torch.from_numpy(np.concatenate(arrays))


def _audio_mask(sequences: Sequence[TrainingSequence]) -> Tensor | None:
    if not any(sequence.audio_router for sequence in sequences):
        return None
    masks = []
    for sequence in sequences:
        mask = np.zeros(len(sequence), bool)
        if sequence.audio_router:
            mask[list(sequence.patch_positions)] = True
        masks.append(mask)
    return torch.from_numpy(np.concatenate(masks))
