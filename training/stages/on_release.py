"""The language stage on a checkpoint folder in the released layout and recordings named by manifests.

What a run reads lies in one folder of the work folder's data:

    model/            the checkpoint folder to begin with
    train.jsonl       what is practised, heard and spoken
    dev.jsonl         what is looked at
    latents-train/    made from them once, by the first process; latents-dev/ too
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.config import BuildContext, OptimizerConfig
from training.data.latent_folder import LatentFolder
from training.data.latents import LatentCorpus, encode_corpus
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
from training.monitors.watched import WatchedLanguage
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig, SpeechModules
from training.release.loading import Release, load_release
from training.release.lora import LoraConfig, add_lora
from training.stages.ground import Ground, decoder_of
from training.stages.language import LanguageConfig
from training.stages.language_evaluation import LanguageEvaluationConfig
from training.weights import StoredWeights, fill_modules
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling

_MEASURED = 64  # sequences whose mean length says how many fill a batch


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

    @property
    def language(self) -> LanguageConfig:
        """What is learnt and how."""
        return LanguageConfig(
            loss=SpeechLossConfig(flow=self.flow), balance=self.balance, train_semantic=self.train_semantic
        )


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
    release, ground = open_ground(context, config)
    batches, looked_at = (
        step_batches(latents, release, config, context.seed) for latents in (ground.train, ground.held_out)
    )
    return ground.language_stage(batches, looked_at, config.language, config.evaluation, optimizer)


def open_ground(context: BuildContext, config: OnReleaseConfig) -> tuple[Release, Ground]:
    """The release and its modules as training takes them, with adapters or earlier weights as configured."""
    folder = context.data / config.folder
    release = load_release(folder / "model", device=context.device)
    train, held_out = (encoded(folder, split, release) for split in ("train", "dev"))
    modules = speech_modules(release)
    if config.lora is not None:
        add_lora(modules.named(), config.lora)
    if config.continues is not None:
        fill_modules(modules.named(), StoredWeights(context.weights_of(config.continues)))
    return release, Ground(
        modules=modules,
        text_tokenizer=release.text_tokenizer,
        patches=release.patch_config,
        train=train,
        held_out=held_out,
        decode=decoder_of(release.tokenizer),
    )


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
    """The latents of a manifest; encoded the first time."""
    recordings, patch_size = ManifestUtterances(folder / f"{split}.jsonl"), release.patch_config.patch_size
    return encode_corpus(recordings, release.tokenizer, folder / f"latents-{split}", patch_size=patch_size)


@dataclass(frozen=True, kw_only=True)
class SequenceTasks:
    """Both tasks on one set of recordings, and how they are configured."""

    understanding: UnderstandingTask
    speech: SpeechTask
    understanding_config: UnderstandingConfig
    speech_config: SpeechConfig


def sequence_tasks(latents: LatentCorpus, release: Release, seed: int) -> SequenceTasks:
    """Understanding and speech in the release's patches."""
    patches, text = release.patch_config, release.text_tokenizer
    understanding = UnderstandingConfig(patch_size=patches.patch_size)
    speech = SpeechConfig(patch_size=patches.patch_size, hop_length=patches.hop_length)
    return SequenceTasks(
        understanding=UnderstandingTask(latents, text, seed, understanding),
        speech=SpeechTask(latents, text, seed, speech),
        understanding_config=understanding,
        speech_config=speech,
    )


def step_batches(latents: LatentCorpus, release: Release, config: OnReleaseConfig, seed: int) -> StepBatches:
    """Turns of both tasks, with as many sequences as fill the configured positions on average."""
    tasks, patches = sequence_tasks(latents, release, seed), release.patch_config
    cycle = task_cycle(
        config.ratio,
        understanding=fitting(tasks.understanding, config.understanding_positions) * config.devices,
        speech=fitting(tasks.speech, config.speech_positions) * config.devices,
    )
    return StepBatches(
        {"understanding": tasks.understanding, "speech": tasks.speech},
        cycle,
        seed=seed,
        latent_dim=patches.latent_dim,
        draw=DrawConfig(flow=config.flow, patch_size=patches.patch_size),
    )


def fitting(task: SequenceTask, positions: int) -> int:
    """How many of a task's sequences fill so many positions on average."""
    mean = float(np.mean([len(task.plan(number).sequence) for number in range(_MEASURED)]))
    return max(1, round(positions / mean))
