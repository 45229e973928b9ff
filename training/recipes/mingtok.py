"""The released tokenizer: its three stages at the published sizes (model specification 8.1), on recordings.

What it reads lies in `<work>/data/mingtok`: the manifests `train.jsonl` and `dev.jsonl`, `noise.jsonl` where noise
is to be mixed in, and `whisper`: Whisper large-v3 as the file that openai-whisper saves or its Hugging Face folder,
or a link to either. What the paper does not tell is marked; the data is nobody's to ship.

    torchrun --nproc-per-node 8 --nnodes N -m training.train mingtok --work WORK --store s3://bucket/prefix
    python -m training.recipes.mingtok_release OUT --work WORK
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from training.config import (
    BuildContext,
    CheckpointConfig,
    OptimizerConfig,
    ParallelConfig,
    Recipe,
    TrainConfig,
)
from training.data.recorded import RecordedCorpora
from training.objectives.adversarial import Adversary
from training.objectives.discriminators import DiscriminatorConfig
from training.recipes import ming16b_sizes
from training.stage import Stage
from training.stages.acoustic import AcousticConfig, build_acoustic
from training.stages.align_llm import AlignLlmConfig, build_align_llm
from training.stages.characters import ALPHABETS
from training.stages.distill import DistillConfig, build_distill, sized_as_whisper
from training.stages.gate import MSE_LIMIT
from training.stages.transcript_reader import ReaderConfig, letter_model
from training.stages.unified import UnifiedConfig, build_unified
from uniaudio.tokenizer.config import TokenizerConfig

FOLDER = "mingtok"
SPEECH = RecordedCorpora(folder=FOLDER)
OPTIMIZER = OptimizerConfig(
    learning_rate=1e-4, betas=(0.9, 0.98), warmup_steps=1000
)  # all but the rate: not told
_WHISPER = f"{FOLDER}/whisper"
ACOUSTIC_RUN, _DISTILLATION = "mingtok-acoustic", "mingtok-distillation"
_READER, UNIFIED_RUN = "mingtok-reader", "mingtok-unified"


@dataclass(frozen=True)
class _Scale:
    """How much a step holds, and for how long; utterances have at most 10 s. Of these only `steps` is told."""

    steps: int = 200_000
    reader_steps: int = 50_000
    crops: int = 256
    crop_frames: int = 50
    utterances: int = 256
    padded_frames: int = 64_000
    reader_width: int = 1024
    reader_layers: int = 12
    gate_limit: float = MSE_LIMIT
    sizes: TokenizerConfig = ming16b_sizes.TOKENIZER
    discriminators: DiscriminatorConfig = field(default_factory=DiscriminatorConfig)

    def tokenizer(self, data: Path) -> TokenizerConfig:
        """The sizes, those of the semantic module as the Whisper in the work folder's data has them."""
        return sized_as_whisper(self.sizes, data / _WHISPER)


_SMALL = replace(
    ming16b_sizes.TOKENIZER.encoder,
    hidden_size=64,
    intermediate_size=128,
    num_layers=1,
    num_heads=1,
    num_kv_heads=1,
)
_SHORT = _Scale(
    steps=2,
    reader_steps=2,
    crops=2,
    utterances=2,
    padded_frames=1000,
    reader_width=64,
    reader_layers=1,
    gate_limit=math.inf,
    sizes=replace(ming16b_sizes.TOKENIZER, encoder=_SMALL, decoder=_SMALL),
    discriminators=DiscriminatorConfig(periods=(2,), fft_sizes=(256,), num_layers=2),
)


def mingtok(short: bool = False) -> Recipe:
    """The stages, and the reader that S2 is aligned by; `short` takes two steps of a small one."""
    scale = _SHORT if short else _Scale()
    return (
        _run(ACOUSTIC_RUN, scale, lambda c: _acoustic(c, scale)),
        _run(_DISTILLATION, scale, lambda c: _distillation(c, scale), needs=(ACOUSTIC_RUN,)),
        _run(_READER, scale, lambda c: _reader(c, scale), num_steps=scale.reader_steps),
        _run(UNIFIED_RUN, scale, lambda c: _unified(c, scale), needs=(ACOUSTIC_RUN, _DISTILLATION, _READER)),
    )


def tokenizer_sizes(data: Path, *, short: bool = False) -> TokenizerConfig:
    """The sizes of the tokenizer that the recipe trains on this data."""
    return (_SHORT if short else _Scale()).tokenizer(data)


def _acoustic(context: BuildContext, scale: _Scale) -> Stage:
    config = AcousticConfig(
        batch_size=scale.crops,
        segment_frames=scale.crop_frames,
        mel_weight=15.0,
        spectrum_weight=0.0,
        waveform_weight=0.0,
        kl_weight=1e-4,
    )
    sizes = scale.tokenizer(context.data)
    adversary = Adversary(scale.discriminators)
    return build_acoustic(context, config, sizes, OPTIMIZER, adversary=adversary, corpora=SPEECH)


def _distillation(context: BuildContext, scale: _Scale) -> Stage:
    return build_distill(context, _distilling(context, scale), OPTIMIZER)


def _reader(context: BuildContext, scale: _Scale) -> Stage:
    config = AlignLlmConfig(
        reader=_reading(context, scale),
        distillation=_distilling(context, scale),
        batch_size=scale.utterances,
        padded_frames=scale.padded_frames,
        corpora=SPEECH,
    )
    return build_align_llm(context, config, OPTIMIZER)


def _unified(context: BuildContext, scale: _Scale) -> Stage:
    config = UnifiedConfig(
        tokenizer=scale.tokenizer(context.data),
        acoustic_run=ACOUSTIC_RUN,
        distillation_run=_DISTILLATION,
        align_run=_READER,
        reader=_reading(context, scale),
        batch_size=scale.utterances,
        padded_frames=scale.padded_frames,
        gate_limit=scale.gate_limit,
        corpora=SPEECH,
    )
    return build_unified(context, config, OPTIMIZER)


def _distilling(context: BuildContext, scale: _Scale) -> DistillConfig:
    return DistillConfig(
        tokenizer=scale.tokenizer(context.data),
        run=_DISTILLATION,
        acoustic_run=ACOUSTIC_RUN,
        whisper=_WHISPER,
        batch_size=scale.utterances,
        padded_frames=scale.padded_frames,
        corpora=SPEECH,
    )


def _reading(context: BuildContext, scale: _Scale) -> ReaderConfig:
    width, vocabulary = scale.reader_width, ALPHABETS["bytes"].size
    return ReaderConfig(
        unified_dim=scale.tokenizer(context.data).unified_dim,
        alphabet="bytes",
        max_letters=400,
        language_model=letter_model(width, scale.reader_layers, width // 64, vocabulary),
    )


def _run(
    name: str,
    scale: _Scale,
    build: Callable[[BuildContext], Stage],
    *,
    num_steps: int | None = None,
    needs: tuple[str, ...] = (),
) -> TrainConfig:
    is_short = scale is _SHORT
    return TrainConfig(
        name=name,
        build=build,
        num_steps=num_steps or scale.steps,
        autocast="bfloat16",
        log_every_steps=1 if is_short else 20,
        evaluate_every_steps=0 if is_short else 5000,
        checkpoint=CheckpointConfig(every_steps=2000),
        parallel=ParallelConfig(activation_checkpointing=not is_short),
        needs=needs,
    )
