"""The released sizes are built without memory, count as published, and have a place for every tensor."""

from __future__ import annotations

import math

import pytest
import torch

from tests.unit.training.fake_latents import LATENT_DIM, FakeCorpus, text_tokenizer
from training.data.sequences import DrawConfig
from training.data.step_batches import StepBatches, task_cycle
from training.data.tasks import SpeechTask
from training.objectives.flow_matching import FlowMatchingConfig
from training.objectives.router_balance import RouterBalanceConfig
from training.objectives.speech import SpeechLossConfig, SpeechModules
from training.recipes import ming16b_sizes as sizes
from training.recipes.ming16b import FULL, LARGE_SCALE, ming16b
from training.release.config import release_config
from training.release.lora import add_lora
from training.stages.language import LanguageConfig, LanguageStage
from uniaudio.checkpoint_layout import tensor_shapes
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.tokenizer.model import AudioTokenizer


@pytest.fixture(scope="module")
def tokenizer() -> AudioTokenizer:
    with torch.device("meta"):
        return AudioTokenizer(sizes.TOKENIZER)


@pytest.fixture
def modules(tokenizer: AudioTokenizer) -> SpeechModules:
    with torch.device("meta"):
        hidden = sizes.LANGUAGE_MODEL.hidden_size
        return SpeechModules(
            language=LanguageModel(sizes.LANGUAGE_MODEL),
            pooling=LinearPooling(sizes.TOKENIZER.unified_dim, hidden, 5),
            flow_head=FlowHead(sizes.FLOW_HEAD),
            stop_head=StopHead(hidden),
            semantic=tokenizer.semantic,
        )


def stage(modules: SpeechModules, *, train_semantic: bool) -> LanguageStage:
    flow = FlowMatchingConfig()
    task = SpeechTask(FakeCorpus(), text_tokenizer(), 0)
    batches = StepBatches(
        {"speech": task, "understanding": task},
        task_cycle(3, understanding=1, speech=1),
        seed=0,
        latent_dim=LATENT_DIM,
        draw=DrawConfig(flow=flow),
    )
    config = LanguageConfig(
        loss=SpeechLossConfig(flow=flow), balance=RouterBalanceConfig(), train_semantic=train_semantic
    )
    return LanguageStage(modules, batches, config, FULL)


def trained(stage: LanguageStage) -> int:
    return sum(
        parameter.numel()
        for player in stage.players
        for module in player.modules.values()
        for parameter in module.parameters()
        if parameter.requires_grad
    )


def test_the_stage_is_built_on_the_meta_device(modules: SpeechModules, tokenizer: AudioTokenizer) -> None:
    language = 16_802_000_000 + 28 * 64 * 2048  # as published with one router, and the audio router
    without = trained(stage(modules, train_semantic=False))
    assert without == pytest.approx(language + 104_300_000, rel=2e-3)
    semantic = trained(stage(modules, train_semantic=True)) - without
    assert semantic == pytest.approx(629_640_000, rel=3e-3)
    assert all(parameter.is_meta for parameter in modules.language.parameters())


def test_the_layout_has_the_published_number_of_parameters(tokenizer: AudioTokenizer) -> None:
    config = release_config(
        tokenizer=sizes.TOKENIZER,
        language_model=sizes.LANGUAGE_MODEL,
        flow_head=sizes.FLOW_HEAD,
        end_token_id=sizes.END_TOKEN_ID,
    )
    shapes = tensor_shapes(config)

    def count(prefix: str) -> int:
        return sum(math.prod(shape) for key, shape in shapes.items() if key.startswith(prefix))

    assert count("model.") == pytest.approx(16.809e9, rel=1e-4)
    assert count("audio.") == pytest.approx(1.350e9, rel=2e-3)
    assert count("flowloss.") == pytest.approx(104.3e6, rel=1e-3)


def test_adapters_are_a_small_part(modules: SpeechModules) -> None:
    """Each of 64 experts has adapters of its own, as in the published fine-tuning."""
    with torch.device("meta"):
        names = add_lora(modules.named())
    count = sum(
        parameter.numel()
        for module in modules.named().values()
        for parameter in module.parameters()
        if parameter.requires_grad
    )
    assert count < 0.01 * 16.8e9
    assert not [name for name in names if name.startswith("semantic")]


def test_the_runs_follow_each_other_with_the_published_rates() -> None:
    large, annealing, full, edit = ming16b()
    assert (large.num_steps, large.needs) == (200_000, ())
    assert annealing.needs == (large.name,)
    assert full.needs == (annealing.name,)
    assert edit.needs == (full.name,)
    assert (LARGE_SCALE.learning_rate, LARGE_SCALE.warmup_steps, LARGE_SCALE.eps) == (1e-4, 3000, 1e-5)
    assert (FULL.learning_rate, FULL.warmup_steps, FULL.eps) == (1e-5, 0, 1e-8)
    assert [run.num_steps for run in ming16b(short=True)] == [2, 2, 2, 2]
