"""What a run of the language model stands on, whatever it begins with, and the looks that it is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.config import OptimizerConfig
from training.data.latent_folder import LatentFolder
from training.data.latents import LatentCorpus
from training.data.step_batches import StepBatches
from training.monitors.triplets import TripletWatch
from training.monitors.watched import WatchedLanguage
from training.objectives.speech import SpeechModules
from training.stages.edit import EditStageConfig, edit_batches, edit_stage
from training.stages.edit_evaluation import EditEvaluation, EditEvaluationConfig
from training.stages.language import LanguageConfig, LanguageStage
from training.stages.language_evaluation import Decode, LanguageEvaluation, LanguageEvaluationConfig
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.tokenizer import AudioTokenizer


@dataclass(frozen=True, kw_only=True)
class Ground:
    """The model's parts, its text tokenizer, encoded speech of both splits, and what latents are heard by."""

    modules: SpeechModules
    text_tokenizer: TextTokenizer
    patches: PatchConfig
    train: LatentCorpus
    held_out: LatentCorpus
    decode: Decode

    def language_stage(
        self,
        batches: StepBatches,
        looked_at: StepBatches,
        config: LanguageConfig,
        look: LanguageEvaluationConfig,
        optimizer: OptimizerConfig,
    ) -> WatchedLanguage:
        """Understanding and speech, watched; `looked_at` are batches of what is held out."""
        evaluator = self._evaluation(looked_at, config, look)
        return WatchedLanguage(LanguageStage(self.modules, batches, config, optimizer, evaluator))

    def edit_stage(
        self,
        edits: tuple[LatentFolder, LatentFolder],
        config: EditStageConfig,
        looks: tuple[LanguageEvaluationConfig, EditEvaluationConfig],
        optimizer: OptimizerConfig,
        seed: int,
    ) -> WatchedLanguage:
        """Edits to train on and held-out ones, with understanding and speech between; also their cuts are watched."""
        batches, looked_at = (
            edit_batches(chosen, corpus, self.text_tokenizer, config, seed)
            for chosen, corpus in zip(edits, (self.train, self.held_out), strict=True)
        )
        watch = TripletWatch()
        language = self._evaluation(looked_at, config.language, looks[0])
        edit = EditEvaluation(
            self.modules,
            self.text_tokenizer,
            edits[1],
            looked_at,
            config.language.loss,
            patches=self.patches,
            config=looks[1],
            decode=self.decode,
            watch=watch,
            cut=edits[0],
        )
        stage = edit_stage(self.modules, batches, config, optimizer, (language, edit))
        return WatchedLanguage(stage, watches=(watch,))

    def _evaluation(
        self, looked_at: StepBatches, config: LanguageConfig, look: LanguageEvaluationConfig
    ) -> LanguageEvaluation:
        return LanguageEvaluation(
            self.modules,
            self.text_tokenizer,
            self.held_out,
            looked_at,
            config.loss,
            patches=self.patches,
            config=look,
            decode=self.decode,
        )


def decoder_of(tokenizer: AudioTokenizer) -> Decode:
    """From latents `(num_frames, C)` to samples `(num_samples,)` on the host."""

    def decode(latents: Tensor) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(tokenizer.decode(latents[None])[0].cpu(), np.float32)

    return decode
