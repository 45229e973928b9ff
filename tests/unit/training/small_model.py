"""A whole model of a few hundred kilobytes with random weights, as the modules that stages train."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from tests.small_tokenizer import BACKBONE, CONFIG, small_tokenizer
from training.release.config import release_config
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling

PATCH_SIZE = 5
TOKENIZER = replace(CONFIG, encoder=replace(BACKBONE, num_kv_heads=1), decoder=BACKBONE)
LANGUAGE_MODEL = LanguageModelConfig(
    vocab_size=40,
    hidden_size=16,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=8,
    num_experts=4,
    top_k=2,
    moe_intermediate_size=12,
    num_shared_experts=1,
    multi_gate=True,
)
FLOW_HEAD = FlowHeadConfig(
    latent_dim=6, patch_size=PATCH_SIZE, condition_dim=16, hidden_size=16, depth=2, num_heads=2, mlp_ratio=2.0
)


def small_config(**changes: Any) -> dict[str, Any]:
    """`config.json` of the small model; changes are of its language model."""
    return release_config(
        tokenizer=TOKENIZER,
        language_model=replace(LANGUAGE_MODEL, **changes),
        flow_head=FLOW_HEAD,
        end_token_id=1,
    )


def small_modules(seed: int = 0, **changes: Any) -> dict[str, nn.Module]:
    """The modules of all stages by name; changes are of the language model's config."""
    torch.manual_seed(seed)
    config = replace(LANGUAGE_MODEL, **changes)
    tokenizer = small_tokenizer(seed=seed, encoder=TOKENIZER.encoder)
    return {
        "encoder": tokenizer.encoder,
        "decoder": tokenizer.decoder,
        "semantic": tokenizer.semantic,
        "llm": LanguageModel(config),
        "flow_head": FlowHead(FLOW_HEAD),
        "stop_head": StopHead(config.hidden_size),
        "pooling": LinearPooling(TOKENIZER.unified_dim, config.hidden_size, PATCH_SIZE),
    }
