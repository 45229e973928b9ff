"""A look at edits: losses on held-out ones, plans written, edits made and what the model hears in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from training.data.latent_folder import EditEntry
from training.data.latents import EditLatents
from training.data.step_batches import StepBatches
from training.monitors.triplets import TripletWatch
from training.objectives.speech import SpeechLossConfig, SpeechModules
from training.stage import Evaluation
from training.stages.edit_verdicts import cut_edits, says_edit
from training.stages.language_evaluation import (
    Decode,
    Floats,
    held_out_losses,
    own_transcript,
    speech_model,
    word_error_rate,
)
from uniaudio.engine import procedure
from uniaudio.engine.noise import SeededNoise
from uniaudio.errors import ModelOutputError
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.prompt import edit_prompt
from uniaudio.llm.solver import SolverOptions
from uniaudio.llm.text_tokenizer import TextTokenizer

_MAX_TOKENS = 200
_GROWTH, _FLOOR = 3, 30  # most patches: of the source's, and at least


@dataclass(frozen=True, kw_only=True)
class EditEvaluationConfig:
    """How much is looked at; edits are the first held-out ones, so every look sees the same.

    `num_cut` edits more, where words were cut, are made for the watch on triplets.
    """

    num_loss_steps: int = 4
    num_edits: int = 11
    num_cut: int = 48
    num_recordings: int = 4
    solver: SolverOptions = field(default_factory=SolverOptions)


class EditEvaluation:
    """Called with a step, looks at the modules; `decode` None leaves out audio.

    `watch` is told how far off cut edits are and whether they came out right; they are taken from `cut`,
    else from `edits`. Few are far off, so a held-out set may be too small to tell.
    """

    def __init__(
        self,
        modules: SpeechModules,
        tokenizer: TextTokenizer,
        edits: EditLatents,
        batches: StepBatches,
        loss: SpeechLossConfig,
        *,
        patches: PatchConfig | None = None,
        config: EditEvaluationConfig | None = None,
        decode: Decode | None = None,
        watch: TripletWatch | None = None,
        cut: EditLatents | None = None,
    ) -> None:
        self._modules, self._edits, self._batches, self._loss = modules, edits, batches, loss
        self._patches = patches or PatchConfig(latent_dim=edits.latent_dim)
        self._config, self._decode = config or EditEvaluationConfig(), decode
        self._watch, self._cut = watch, edits if cut is None else cut
        self._model = speech_model(modules, tokenizer, self._patches)

    def __call__(self, step: int) -> Evaluation:
        """Losses; of the edits made, which part began to speak, had the right plan, and says its text."""
        losses = held_out_losses(self._modules, self._batches, self._loss, self._config.num_loss_steps)
        metrics = {name: value for name, value in losses.items() if name.startswith("edit/")}
        audio: dict[str, Floats] = {}
        count = min(self._config.num_edits, len(self._edits))
        made = [self.make(self._edits, index) for index in range(count)]
        entries = [self._edits.entry(index) for index in range(count)]
        metrics |= self._judge(entries, made)
        self._watch_cuts(step)
        for entry, result in list(zip(entries, made, strict=True))[: self._config.num_recordings]:
            if self._decode is not None and result is not None:
                name = f"edit/{entry.kind}: {entry.instruction}"
                audio[name] = self._decode(result.speech.patches.flatten(0, 1))
        return Evaluation(metrics=metrics, audio=audio, sample_rate=self._patches.sample_rate)

    def make(self, edits: EditLatents, index: int) -> procedure.EditResult | None:
        """The edit by inference's own procedure; None where the model does not begin to speak."""
        entry, model = edits.entry(index), self._model
        num_patches = entry.source_frames // self._patches.patch_size
        prompt = edit_prompt(
            model.text_tokenizer, entry.instruction, num_patches, reasoning=bool(entry.plan_text)
        )
        rules = procedure.Rules(
            min_patches=1,
            max_patches=max(_FLOOR, _GROWTH * num_patches),
            max_tokens=_MAX_TOKENS,
            drop_surplus_patch=True,
            end_token_ends=True,
        )
        source = torch.from_numpy(edits.source(index).mean)
        try:
            return procedure.edit(
                model, prompt, source, noise=SeededNoise(index), rules=rules, options=self._config.solver
            )
        except ModelOutputError:
            return None

    def _judge(
        self, entries: list[EditEntry], made: list[procedure.EditResult | None]
    ) -> Mapping[str, float]:
        metrics: dict[str, float] = {}
        pairs = [(e, result) for e, result in zip(entries, made, strict=True) if result is not None]
        metrics["edit/speaks"] = len(pairs) / max(len(entries), 1)
        planned = [
            _plan(result) == entry.plan_text if result else False
            for entry, result in zip(entries, made, strict=True)
            if entry.plan_text
        ]
        if planned:
            metrics["edit/plan_right"] = float(np.mean(planned))
        spoken = [(entry, result) for entry, result in pairs if entry.target_text]
        if spoken:
            heard = [self._hear(result.speech.patches.flatten(0, 1)) for _, result in spoken]
            metrics["edit/own_wer"] = word_error_rate([entry.target_text for entry, _ in spoken], heard)
        if pairs:
            ratios = [
                len(result.speech.patches) * self._patches.patch_size / entry.target_frames
                for entry, result in pairs
            ]
            metrics["edit/length"] = float(np.mean(ratios))
        return metrics

    def _watch_cuts(self, step: int) -> None:
        if self._watch is None:
            return
        indices = cut_edits(self._cut, self._config.num_cut)
        errors = [self._cut.entry(index).boundary_error_seconds or 0.0 for index in indices]
        self._watch.look(step, errors, [self._is_right(index) for index in indices])

    def _is_right(self, index: int) -> bool:
        entry, result = self._cut.entry(index), self.make(self._cut, index)
        if result is None:
            return False
        heard = self._hear(result.speech.patches.flatten(0, 1))
        return says_edit(entry.source_text, entry.target_text, heard)

    def _hear(self, latents: Tensor) -> str:
        return own_transcript(self._model, latents)


def _plan(result: procedure.EditResult) -> str:
    """What the model wrote before it opened its speech."""
    return result.text.text.removesuffix("<gen_audio>")
