"""A language model small enough for experiments of minutes, and speech for it: synthetic, encoded once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from training.config import BuildContext
from training.data.corpus import Corpus, CorpusConfig, build_corpus
from training.data.latent_folder import LatentFolder
from training.data.latents import encode_corpus
from training.objectives.speech import SpeechModules
from training.recipes.nano_sizes import language_model as nano_language_model
from training.recipes.nano_vocabulary import nano_text_tokenizer
from uniaudio.checkpoint import Checkpoint
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.random_model import write_random_checkpoint
from uniaudio.tokenizer import AudioTokenizer

_CORPUS = CorpusConfig(train=1000, dev=60, test=1, test_new_voice=1)
_SHORT_CORPUS = CorpusConfig(train=8, dev=4, test=1, test_new_voice=1)
SIZES = ("debug", "nano")


@dataclass(frozen=True)
class Speech:
    """Latents of both splits, and the frozen tokenizer that made them; `source` names it for reports."""

    train: LatentFolder
    held_out: LatentFolder
    tokenizer: AudioTokenizer
    text: TextTokenizer
    source: str


def speech_for_experiments(work: Path, checkpoint: Path | None, *, short: bool) -> Speech:
    """Speaks a corpus and encodes it, unless that has been done.

    Without a checkpoint the tokenizer has random weights: its latents hold the sound, in a form that is
    harder to read than a trained one's. That does for comparing two runs with each other.
    """
    folder = work / "data" / ("experiment-short" if short else "experiment")
    if checkpoint is None:
        checkpoint = work / "random-model"
        if not (checkpoint / "config.json").is_file():
            write_random_checkpoint(checkpoint)
    opened = Checkpoint(checkpoint)
    tokenizer = AudioTokenizer.from_checkpoint(opened)
    build_corpus(folder, _SHORT_CORPUS if short else _CORPUS, processes=1)
    train, held_out = (
        encode_corpus(
            Corpus.open(folder, split), tokenizer, folder / f"latents-{opened.info.revision}-{split}"
        )
        for split in ("train", "dev")
    )
    return Speech(train, held_out, tokenizer, TextTokenizer(nano_text_tokenizer()), opened.info.name)


def small_modules(speech: Speech, size: str, context: BuildContext, *, patch_size: int = 5) -> SpeechModules:
    """A fresh model of that size; only the semantic module has been somewhere before."""
    torch.manual_seed(context.seed)
    vocab_size = -(-speech.text.num_ids // 64) * 64
    config = nano_language_model(vocab_size) if size == "nano" else _debug_language_model(vocab_size)
    head = FlowHeadConfig(
        latent_dim=speech.tokenizer.latent_dim,
        patch_size=patch_size,
        condition_dim=config.hidden_size,
        hidden_size=config.hidden_size,
        depth=2,
        num_heads=4,
        mlp_ratio=2.0,
    )
    return SpeechModules(
        language=LanguageModel(config),
        pooling=LinearPooling(speech.tokenizer.unified_dim, config.hidden_size, patch_size),
        flow_head=FlowHead(head),
        stop_head=StopHead(config.hidden_size),
        semantic=speech.tokenizer.semantic,
    )


def _debug_language_model(vocab_size: int) -> LanguageModelConfig:
    return LanguageModelConfig(
        vocab_size=vocab_size,
        hidden_size=96,
        num_layers=3,
        num_heads=4,
        num_kv_heads=2,
        head_dim=24,
        num_experts=8,
        top_k=2,
        moe_intermediate_size=64,
        num_shared_experts=1,
        multi_gate=True,
        rope_theta=10000.0,
    )
