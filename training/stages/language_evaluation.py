"""A look at the language model: losses on held-out sequences, words heard, sentences spoken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.latents import LatentCorpus
from training.data.step_batches import StepBatches
from training.objectives.speech import SpeechLossConfig, SpeechModules, metrics_of, speech_loss
from training.stage import Evaluation, Share, to_device
from uniaudio.checkpoint import CheckpointInfo
from uniaudio.engine import procedure
from uniaudio.engine.noise import SeededNoise
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.errors import ModelOutputError
from uniaudio.evaluation.word_errors import WordErrors, count_errors
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.prompt import speak_prompt, understanding_prompt
from uniaudio.llm.solver import SolverOptions
from uniaudio.llm.text_tokenizer import TextTokenizer

Floats = NDArray[np.float32]
Decode = Callable[[Tensor], Floats]
"""Latents `(num_frames, C)` to samples `(num_samples,)`."""

_MAX_TOKENS_PER_PATCH = 4
_MAX_PATCHES_PER_LETTER = 2
_FLOOR = 20


@dataclass(frozen=True, kw_only=True)
class LanguageEvaluationConfig:
    """How much is looked at; items are the corpus's first ones, so every look sees the same.

    `num_loss_steps`: steps of the held-out batches, a whole cycle of tasks or more.
    """

    num_loss_steps: int = 4
    num_transcripts: int = 20
    num_sentences: int = 2
    solver: SolverOptions = field(default_factory=SolverOptions)


def speech_model(modules: SpeechModules, tokenizer: TextTokenizer, patches: PatchConfig) -> SpeechModel:
    """The modules in training as the engine takes them; they are shared, not copied."""
    return SpeechModel(
        language_model=modules.language,
        pooling=modules.pooling,
        flow_head=modules.flow_head,
        stop_head=modules.stop_head,
        semantic=modules.semantic,
        text_tokenizer=tokenizer,
        patch_config=patches,
        info=CheckpointInfo(name="in training", revision="", trained=True, notice=""),
    )


class LanguageEvaluation:
    """Called with a step, looks at the modules; `decode` None leaves out audio."""

    def __init__(
        self,
        modules: SpeechModules,
        tokenizer: TextTokenizer,
        corpus: LatentCorpus,
        batches: StepBatches,
        loss: SpeechLossConfig,
        *,
        patches: PatchConfig | None = None,
        config: LanguageEvaluationConfig | None = None,
        decode: Decode | None = None,
    ) -> None:
        self._modules, self._corpus, self._batches, self._loss = modules, corpus, batches, loss
        self._patches = patches or PatchConfig(latent_dim=corpus.latent_dim)
        self._config, self._decode = config or LanguageEvaluationConfig(), decode
        self._model = speech_model(modules, tokenizer, self._patches)

    def __call__(self, step: int) -> Evaluation:
        """Losses, word error rates and spoken sentences; the step changes nothing of what is looked at."""
        metrics = dict(held_out_losses(self._modules, self._batches, self._loss, self._config.num_loss_steps))
        count = min(self._config.num_transcripts, len(self._corpus))
        if count:
            heard = [self.transcribe(self._means(index)) for index in range(count)]
            texts = [self._corpus.text(index) for index in range(count)]
            metrics["understanding/wer"] = word_error_rate(texts, heard)
        audio = self._speak(metrics)
        return Evaluation(metrics=metrics, audio=audio, sample_rate=self._patches.sample_rate)

    def transcribe(self, latents: Tensor) -> str:
        """What the model hears, without the language's name."""
        return own_transcript(self._model, latents)

    def _speak(self, metrics: dict[str, float]) -> dict[str, Floats]:
        """Held-out sentences in the voices of other utterances, and what the model itself hears in them."""
        audio: dict[str, Floats] = {}
        texts, heard, lengths = [], [], []
        for index in range(min(self._config.num_sentences, len(self._corpus))):
            text = self._corpus.text(index)
            latents = self.speak(text, self._prompt_for(index), seed=index)
            if latents is None:
                continue
            texts.append(text)
            heard.append(self.transcribe(latents))
            lengths.append(len(latents) / self._corpus.num_frames(index))
            if self._decode is not None:
                audio[f"speech/{index}: {text}"] = self._decode(latents)
        if texts:
            metrics["speech/own_wer"] = word_error_rate(texts, heard)
            metrics["speech/length"] = float(np.mean(lengths))
        return audio

    def speak(self, text: str, prompt_index: int | None, *, seed: int) -> Tensor | None:
        """Latents of a text in the voice of a held-out utterance; None if the model makes none."""
        latents, prompt_text = None, ""
        if prompt_index is not None:
            latents, prompt_text = self._means(prompt_index), self._corpus.text(prompt_index)
        num_patches = 0 if latents is None else len(latents) // self._patches.patch_size
        prompt = speak_prompt(
            self._model.text_tokenizer, text, prompt_text=prompt_text, num_patches=num_patches
        )
        most = _FLOOR + _MAX_PATCHES_PER_LETTER * len(text)
        rules = procedure.Rules(min_patches=1, max_patches=most, drop_surplus_patch=True)
        try:
            made = procedure.speak(
                self._model,
                prompt,
                latents,
                noise=SeededNoise(seed),
                rules=rules,
                options=self._config.solver,
            )
        except ModelOutputError:  # an untrained stop head may end before the first patch
            return None
        return made.patches.flatten(0, 1)

    def _prompt_for(self, index: int) -> int | None:
        voice = self._corpus.voice(index)
        others = (i for i in range(len(self._corpus)) if i != index and self._corpus.voice(i) == voice)
        return next(others, None)

    def _means(self, index: int) -> Tensor:
        return torch.from_numpy(self._corpus.posterior(index).mean)


def own_transcript(model: SpeechModel, latents: Tensor) -> str:
    """What the model itself hears in latents `(num_frames, C)`, without the language's name."""
    num_patches = len(latents) // model.patch_size
    prompt = understanding_prompt(model.text_tokenizer, num_patches)
    limit = _FLOOR + _MAX_TOKENS_PER_PATCH * num_patches
    text = procedure.understand(model, prompt, [latents], max_tokens=limit).text
    return text.partition("\t")[2]


def held_out_losses(
    modules: SpeechModules, batches: StepBatches, loss: SpeechLossConfig, num_steps: int
) -> Mapping[str, float]:
    """Mean of each metric over the first steps of held-out batches, by the names of training."""
    device = next(modules.language.parameters()).device
    seen: dict[str, list[float]] = {}
    for step in range(num_steps):
        batch = to_device(batches.batch(step, Share()), device)
        for name, value in metrics_of(speech_loss(modules, batch, loss)).items():
            seen.setdefault(name, []).append(value)
    return {name: float(np.mean(values)) for name, values in seen.items()}


def word_error_rate(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Errors of all texts against all their words."""
    errors = [count_errors(r.split(), h.lower().split()) for r, h in zip(references, hypotheses, strict=True)]
    return sum(errors, WordErrors()).rate
