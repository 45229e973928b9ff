"""The language stage on a checkpoint folder in the released layout and recordings named by manifests.

What a run reads lies in one folder of the work folder's data:

    model/            the checkpoint folder to begin with
    train.jsonl       what is practised, heard and spoken
    dev.jsonl         what is looked at
    latents-train/    made from them once, by the first process; latents-dev/ too
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

from training.config import BuildContext, OptimizerConfig
from training.data.latent_folder import LatentFolder
from training.data.latents import encode_corpus
from training.data.manifest import Manifest
from training.data.pipeline import load_utterance
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches, task_cycle
from training.data.tasks import (
    SequenceTask,
    SpeechConfig,
    SpeechTask,
    UnderstandingConfig,
    UnderstandingTask,
)
from training.data.utterance import Utterance
from training.lora import LoraConfig, add_lora
from training.monitors.watched import WatchedLanguage
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig, SpeechModules
from training.release import Release, load_release
from training.stages.language import LanguageConfig, LanguageStage
from training.stages.language_evaluation import Decode, LanguageEvaluation, LanguageEvaluationConfig
from training.weights import StoredWeights, fill_modules
from uniaudio.errors import DeadlineError
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.tokenizer import AudioTokenizer

_MEASURED = 64  # sequences whose mean length says how many fill a batch
_ENCODING_SECONDS = 48 * 3600.0
_POLL_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class OnReleaseConfig:
    """What is trained, and on how much at once.

    Attributes:
        folder: in the work folder's data; see the module.
        continues: an earlier run whose weights replace those of the folder's model.
        understanding_positions, speech_positions: positions of a step of each task, for each of `devices`;
            a step is the same on any number of them.
        ratio: steps of speech for one of understanding.
        train_semantic: whether the semantic module learns too (all but what the decoder shares).
        balance: of the routers; the default only counts what they choose.
        lora: adapters instead of the weights.
    """

    folder: str
    continues: str | None = None
    understanding_positions: int = 100
    speech_positions: int = 3000
    devices: int = 8
    ratio: int = 3
    train_semantic: bool = False
    flow: FlowMatchingConfig = field(default_factory=FlowMatchingConfig)
    balance: RouterBalanceConfig = field(default_factory=lambda: RouterBalanceConfig(rate=0.0))
    lora: LoraConfig | None = None
    evaluation: LanguageEvaluationConfig = field(default_factory=LanguageEvaluationConfig)


class ManifestUtterances:
    """The rows of a manifest as whole utterances at 16 kHz."""

    def __init__(self, path: Path) -> None:
        self._manifest = Manifest(path)

    def __len__(self) -> int:
        return len(self._manifest)

    def utterance(self, index: int) -> Utterance:
        """The row's recording with its text and words."""
        return load_utterance(self._manifest[index])


def build_on_release(
    context: BuildContext, config: OnReleaseConfig, optimizer: OptimizerConfig
) -> WatchedLanguage:
    """The watched stage; encodes the recordings first where that has not been done.

    Raises CheckpointError or InvalidInputError for a folder that is not what the module describes.
    """
    folder = context.data / config.folder
    release = load_release(folder / "model", device=context.device)
    train, held_out = (encoded(folder, split, release) for split in ("train", "dev"))
    modules = speech_modules(release)
    if config.lora is not None:
        add_lora(modules.named(), config.lora)
    if config.continues is not None:
        fill_modules(modules.named(), StoredWeights(context.weights_of(config.continues)))
    loss = SpeechLossConfig(flow=config.flow)
    batches = step_batches(train, release, config, context.seed)
    look = LanguageEvaluation(
        modules,
        release.text_tokenizer,
        held_out,
        step_batches(held_out, release, config, context.seed),
        loss,
        patches=release.patch_config,
        config=config.evaluation,
        decode=decoder_of(release.tokenizer),
    )
    language = LanguageConfig(loss=loss, balance=config.balance, train_semantic=config.train_semantic)
    return WatchedLanguage(LanguageStage(modules, batches, language, optimizer, look))


def speech_modules(release: Release) -> SpeechModules:
    """A release's modules as the language stage takes them."""
    named = release.modules
    llm, pooling, flow_head, stop_head = (
        named[name] for name in ("llm", "pooling", "flow_head", "stop_head")
    )
    assert isinstance(llm, LanguageModel)
    assert isinstance(pooling, LinearPooling)
    assert isinstance(flow_head, FlowHead)
    assert isinstance(stop_head, StopHead)
    return SpeechModules(
        language=llm,
        pooling=pooling,
        flow_head=flow_head,
        stop_head=stop_head,
        semantic=release.tokenizer.semantic,
    )


def encoded(folder: Path, split: str, release: Release) -> LatentFolder:
    """The latents of a manifest; the first process makes them, the others wait until they are whole.

    Raises DeadlineError where that takes more than two days.
    """
    latents, patch_size = folder / f"latents-{split}", release.patch_config.patch_size
    if not distributed.is_initialized() or distributed.get_rank() == 0:
        recordings = ManifestUtterances(folder / f"{split}.jsonl")
        return encode_corpus(recordings, release.tokenizer, latents, patch_size=patch_size)
    deadline = time.monotonic() + _ENCODING_SECONDS
    while not (latents / "latents.json").is_file():
        if time.monotonic() > deadline:
            raise DeadlineError(
                f"{latents} was not encoded within {_ENCODING_SECONDS:g} s; start one process first, which "
                "encodes and can be stopped when training begins"
            )
        time.sleep(_POLL_SECONDS)
    return LatentFolder.open(latents)


def step_batches(latents: LatentFolder, release: Release, config: OnReleaseConfig, seed: int) -> StepBatches:
    """Turns of both tasks, with as many sequences as fill the configured positions on average."""
    patches = release.patch_config
    understanding = UnderstandingTask(
        latents, release.text_tokenizer, seed, UnderstandingConfig(patch_size=patches.patch_size)
    )
    spoken = SpeechConfig(patch_size=patches.patch_size, hop_length=patches.hop_length)
    speech = SpeechTask(latents, release.text_tokenizer, seed, spoken)
    cycle = task_cycle(
        config.ratio,
        understanding=_fitting(understanding, config.understanding_positions) * config.devices,
        speech=_fitting(speech, config.speech_positions) * config.devices,
    )
    return StepBatches(
        {"understanding": understanding, "speech": speech},
        cycle,
        seed=seed,
        latent_dim=patches.latent_dim,
        draw=DrawConfig(flow=config.flow, patch_size=patches.patch_size),
    )


def decoder_of(tokenizer: AudioTokenizer) -> Decode:
    """From latents `(num_frames, C)` to samples `(num_samples,)` on the host."""

    def decode(latents: Tensor) -> NDArray[np.float32]:
        with torch.no_grad():
            return np.asarray(tokenizer.decode(latents[None])[0].cpu(), np.float32)

    return decode


def _fitting(task: SequenceTask, positions: int) -> int:
    mean = float(np.mean([len(task.plan(number).sequence) for number in range(_MEASURED)]))
    return max(1, round(positions / mean))
