"""nano's language model: built on the tokenizer that was trained before it, fed with encoded speech."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training.config import BuildContext, OptimizerConfig
from training.data.corpus import Corpus
from training.data.joined_latents import JoinedLatents
from training.data.latent_folder import LatentFolder
from training.data.latents import LatentCorpus, encode_corpus
from training.data.played import PlayedCorpus
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches, Turn, task_cycle
from training.data.tasks import SequenceTask, SpeechConfig, SpeechTask, UnderstandingTask
from training.monitors.watched import WatchedLanguage
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig, SpeechModules
from training.recipes.nano_sizes import FLOW_HEAD, NUM_CONTENT, TOKENIZER, language_model
from training.recipes.nano_vocabulary import nano_text_tokenizer
from training.stages.ground import Ground, decoder_of
from training.stages.language import LanguageConfig
from training.stages.language_evaluation import LanguageEvaluationConfig
from training.weights import StoredWeights, fill_modules
from uniaudio.llm.config import PatchConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.tokenizer.model import AudioTokenizer

# Channels after the content are chance to a small head: they count little.
_CHANCE_WEIGHT = 0.2
_CHANNEL_WEIGHTS = (*(1.0,) * NUM_CONTENT, *(_CHANCE_WEIGHT,) * (TOKENIZER.latent_dim - NUM_CONTENT))
FLOW = FlowMatchingConfig(
    num_draws=4, patch_fraction=0.33, times="log-normal", channel_weights=_CHANNEL_WEIGHTS
)
DRAW = DrawConfig(flow=FLOW, input_noise=0.3, noisy_history=True, mean_targets=True)
LOSS = SpeechLossConfig(
    flow=FLOW, stop_weight=0.05, auxiliary="unified", auxiliary_weight=0.5, letters_weight=0.5
)


@dataclass(frozen=True, kw_only=True)
class LanguageRun:
    """What distinguishes one run of the language model from another.

    `cycle` None: one step of understanding, then `ratio` of speech. `continues` names the run whose
    weights it begins with. `continuation` is how often speech continues a prompt: short sequences first.
    """

    tokenizer_run: str
    semantic_run: str
    continues: str | None = None
    ratio: int = 3
    continuation: float = 0.5
    understanding_items: int = 48
    speech_items: int = 32
    train_semantic: bool = False
    balance: RouterBalanceConfig | None = None
    num_transcripts: int = 24
    num_sentences: int = 4


@functools.cache
def text_tokenizer() -> TextTokenizer:
    """nano's text tokenizer."""
    return TextTokenizer(nano_text_tokenizer())


def vocabulary_rows() -> int:
    """Rows of the embedding table: the tokenizer's ids, rounded up."""
    return -(-text_tokenizer().num_ids // 64) * 64


def fresh_modules(tokenizer: AudioTokenizer) -> SpeechModules:
    """The language model's parts with random weights, around the tokenizer's semantic module."""
    sizes = language_model(vocabulary_rows())
    head = FlowHead(FLOW_HEAD)
    return SpeechModules(
        language=LanguageModel(sizes),
        pooling=LinearPooling(TOKENIZER.unified_dim, sizes.hidden_size, FLOW_HEAD.patch_size),
        flow_head=head,
        stop_head=StopHead(sizes.hidden_size),
        semantic=tokenizer.semantic,
        auxiliary=LOSS.auxiliary_layer(sizes.hidden_size, head, TOKENIZER.unified_dim),
    )


def trained_tokenizer(context: BuildContext, tokenizer_run: str, semantic_run: str) -> AudioTokenizer:
    """The tokenizer as the runs before left it."""
    tokenizer = AudioTokenizer(TOKENIZER)
    fill_modules(
        {"encoder": tokenizer.encoder, "decoder": tokenizer.decoder},
        StoredWeights(context.weights_of(tokenizer_run)),
    )
    fill_modules({"semantic": tokenizer.semantic}, StoredWeights(context.weights_of(semantic_run)))
    return tokenizer.to(context.device).requires_grad_(False)


def latents_folder(context: BuildContext, tokenizer_run: str) -> Path:
    """Where the corpus lies as a tokenizer encodes it: among the latents as it lies among the data."""
    work = context.runs.parent
    return work / "latents" / tokenizer_run / context.data.relative_to(work / "data")


def encoded(context: BuildContext, tokenizer: AudioTokenizer, tokenizer_run: str, split: str) -> LatentFolder:
    """A split of the corpus as latents; encoded the first time."""
    folder = latents_folder(context, tokenizer_run) / split
    return encode_corpus(Corpus.open(context.data, split), tokenizer, folder)


def encoded_as_played(
    context: BuildContext, tokenizer: AudioTokenizer, tokenizer_run: str, factors: Sequence[float]
) -> LatentFolder:
    """The training split played faster and slower, as latents; encoded the first time."""
    folder = latents_folder(context, tokenizer_run) / "train-played"
    return encode_corpus(PlayedCorpus(Corpus.open(context.data, "train"), factors), tokenizer, folder)


def ready_ground(
    context: BuildContext,
    tokenizer_run: str,
    semantic_run: str,
    continues: str | None,
    factors: Sequence[float] = (),
    new_semantic: bool = False,
) -> tuple[AudioTokenizer, Ground]:
    """The trained tokenizer, and the language model around it: fresh, or as the run `continues` left it.

    With `factors` it also hears its training speech played that much faster; with `new_semantic` the semantic module
    is that of `semantic_run`, whatever the continued run had.
    """
    tokenizer = trained_tokenizer(context, tokenizer_run, semantic_run)
    torch.manual_seed(context.seed)
    modules = fresh_modules(tokenizer)
    if continues is not None:
        named = modules.named()
        if new_semantic:
            del named["semantic"]
        fill_modules(named, StoredWeights(context.weights_of(continues)))
    for module in modules.named().values():
        module.to(context.device)
    train: LatentCorpus = encoded(context, tokenizer, tokenizer_run, "train")
    if factors:
        played = encoded_as_played(context, tokenizer, tokenizer_run, factors)
        train = JoinedLatents((train, played))
    held_out = encoded(context, tokenizer, tokenizer_run, "dev")
    return tokenizer, Ground(
        modules=modules,
        text_tokenizer=text_tokenizer(),
        patches=PatchConfig(latent_dim=TOKENIZER.latent_dim),
        train=train,
        held_out=held_out,
        decode=decoder_of(tokenizer),
    )


def build_language(context: BuildContext, run: LanguageRun, optimizer: OptimizerConfig) -> WatchedLanguage:
    """The stage with fresh weights, or those of the run that it continues."""
    _, ground = ready_ground(context, run.tokenizer_run, run.semantic_run, run.continues)
    cycle = task_cycle(run.ratio, understanding=run.understanding_items, speech=run.speech_items)
    batches, looked_at = (
        _batches(_tasks(corpus, context.seed, run), cycle, context.seed)
        for corpus in (ground.train, ground.held_out)
    )
    config = LanguageConfig(loss=LOSS, balance=run.balance, train_semantic=run.train_semantic)
    look = LanguageEvaluationConfig(num_transcripts=run.num_transcripts, num_sentences=run.num_sentences)
    return ground.language_stage(batches, looked_at, config, look, optimizer)


def _tasks(corpus: LatentCorpus, seed: int, run: LanguageRun) -> Mapping[str, SequenceTask]:
    speech = SpeechConfig(continuation=run.continuation)
    return {
        "understanding": UnderstandingTask(corpus, text_tokenizer(), seed),
        "speech": SpeechTask(corpus, text_tokenizer(), seed, speech),
    }


def _batches(tasks: Mapping[str, SequenceTask], cycle: Sequence[Turn], seed: int) -> StepBatches:
    return StepBatches(tasks, cycle, seed=seed, latent_dim=TOKENIZER.latent_dim, draw=DRAW)
