"""Edit fine-tuning: all kinds of edits together, with understanding and speech in between (8.5).

It is the language stage with one task more: a source and an instruction come first, then, where words
change, the plan that locates them, then the target speech, whose flow weighs more where the edit is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from training.config import OptimizerConfig
from training.data.latent_folder import EditEntry
from training.data.latents import EditLatents, LatentCorpus
from training.data.plan_task import PlanTask
from training.data.sequences import DrawConfig, edit_sequence
from training.data.step_batches import StepBatches, Turn
from training.data.tasks import (
    EpochOrder,
    PlannedSequence,
    SequenceTask,
    SpeechConfig,
    SpeechTask,
    UnderstandingConfig,
    UnderstandingTask,
    letter_tokens,
)
from training.objectives.speech import SpeechModules
from training.stage import Evaluation
from training.stages.language import LanguageConfig, LanguageStage
from uniaudio.errors import InvalidInputError
from uniaudio.llm.text_tokenizer import TextTokenizer


@dataclass(frozen=True, kw_only=True)
class EditConfig:
    """How edits are practised.

    `region_weight` is the flow weight of the frames that the edit made, widened on both sides by
    `widen_frames` (60 ms); `kinds` are those practised, all if empty.
    """

    patch_size: int = 5
    hop_length: int = 320
    region_weight: float = 3.0
    widen_frames: int = 3
    kinds: tuple[str, ...] = ()


class EditTask:
    """Edits of all kinds, each as often as the corpus has it."""

    def __init__(
        self, edits: EditLatents, tokenizer: TextTokenizer, seed: int, config: EditConfig | None = None
    ) -> None:
        self._edits, self._tokenizer = edits, tokenizer
        self._config = config or EditConfig()
        kinds = self._config.kinds
        self._indices = [i for i in range(len(edits)) if not kinds or edits.entry(i).kind in kinds]
        self._order = EpochOrder(seed, len(self._indices), "edit")

    def plan(self, number: int) -> PlannedSequence:
        """One edit: its source, and its target as what has to be made."""
        index = self._indices[self._order.item(number)]
        entry, patch_size = self._edits.entry(index), self._config.patch_size
        num_patches = entry.target_frames // patch_size
        sequence = edit_sequence(
            self._tokenizer,
            instruction=entry.instruction,
            plan_text=entry.plan_text,
            num_source_patches=entry.source_frames // patch_size,
            num_target_patches=num_patches,
            frame_weights=frame_weights(entry, self._config),
            letters=letter_tokens(
                self._tokenizer, entry.target_words, num_patches, patch_size * self._config.hop_length
            ),
        )
        return PlannedSequence(
            sequence, (partial(self._edits.source, index), partial(self._edits.target, index))
        )


def frame_weights(entry: EditEntry, config: EditConfig) -> NDArray[np.float32] | None:
    """`(target_frames,)`, heavier where the edit is; None where the whole target is the edit."""
    if entry.target_region is None:
        return None
    weights = np.ones(entry.target_frames, np.float32)
    start, end = entry.target_region
    weights[max(0, start - config.widen_frames) : end + config.widen_frames] = config.region_weight
    return weights


def edit_cycle(
    *, edits: int, understanding: int, speech: int, plans: int = 0, edit_steps: int = 2, speech_steps: int = 1
) -> tuple[Turn, ...]:
    """`edit_steps` steps of edits, then one of understanding and `speech_steps` of speech, with so many sequences each.

    With `plans`, each step of edits is followed by one of that many plans alone.
    """
    edited: tuple[Turn, ...] = ((("edit", edits),),)
    if plans:
        edited += ((("plan", plans),),)
    spoken: tuple[Turn, ...] = ((("speech", speech),),)
    return (*edited * edit_steps, (("understanding", understanding),), *spoken * speech_steps)


@dataclass(frozen=True, kw_only=True)
class EditStageConfig:
    """The parts of edit fine-tuning; `cycle` says how often what is known already is practised."""

    language: LanguageConfig
    draw: DrawConfig
    cycle: Sequence[Turn]
    edit: EditConfig = field(default_factory=EditConfig)
    understanding: UnderstandingConfig = field(default_factory=UnderstandingConfig)
    speech: SpeechConfig = field(default_factory=SpeechConfig)


def edit_batches(
    edits: EditLatents, corpus: LatentCorpus, tokenizer: TextTokenizer, config: EditStageConfig, seed: int
) -> StepBatches:
    """Batches of edits, plans of edits, understanding and speech by turns."""
    if edits.latent_dim != corpus.latent_dim:
        raise InvalidInputError(
            f"edits have latents of {edits.latent_dim} channels, the corpus of {corpus.latent_dim}; "
            "encode both with one tokenizer"
        )
    tasks: dict[str, SequenceTask] = {
        "edit": EditTask(edits, tokenizer, seed, config.edit),
        "plan": PlanTask(corpus, tokenizer, seed, patch_size=config.edit.patch_size),
        "understanding": UnderstandingTask(corpus, tokenizer, seed, config.understanding),
        "speech": SpeechTask(corpus, tokenizer, seed, config.speech),
    }
    return StepBatches(tasks, config.cycle, seed=seed, latent_dim=corpus.latent_dim, draw=config.draw)


def edit_stage(
    modules: SpeechModules,
    batches: StepBatches,
    config: EditStageConfig,
    optimizer: OptimizerConfig,
    evaluators: Sequence[Callable[[int], Evaluation]] = (),
) -> LanguageStage:
    """The stage; what all evaluators see is one look, so that forgetting shows beside what is learnt."""
    look = partial(_look, evaluators) if evaluators else None
    return LanguageStage(modules, batches, config.language, optimizer, look)


def _look(evaluators: Sequence[Callable[[int], Evaluation]], step: int) -> Evaluation:
    looks = [evaluator(step) for evaluator in evaluators]
    return Evaluation(
        metrics={name: value for look in looks for name, value in look.metrics.items()},
        audio={name: samples for look in looks for name, samples in look.audio.items()},
        figures={name: figure for look in looks for name, figure in look.figures.items()},
        sample_rate=looks[0].sample_rate,
    )
