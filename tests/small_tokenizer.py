"""Audio tokenizers of a few kilobytes with random weights, built in memory in a millisecond."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch

from uniaudio.tokenizer import AudioTokenizer, BackboneConfig, TokenizerConfig

BACKBONE = BackboneConfig(
    hidden_size=32,
    intermediate_size=48,
    num_layers=2,
    num_heads=4,
    num_kv_heads=2,
    head_dim=8,
    sliding_window=32,
    max_window_layers=0,
)
PLAIN_CAUSAL = replace(BACKBONE, sliding_window=None)
CONFIG = TokenizerConfig(
    sample_rate=16000,
    input_dim=8,
    hop_length=8,
    latent_dim=6,
    unified_dim=24,
    num_semantic_layers=2,
    num_semantic_heads=3,
    encoder=BACKBONE,
    decoder=BACKBONE,
)


def small_tokenizer(window_keys: int | None = None, seed: int = 0, **changes: Any) -> AudioTokenizer:
    """The small tokenizer with some fields of its config changed."""
    tokenizer = AudioTokenizer(replace(CONFIG, **changes), window_keys=window_keys)
    generator = torch.Generator().manual_seed(seed)
    for parameter in tokenizer.parameters():
        values = torch.randn(parameter.shape, generator=generator)
        # Larger than usual, so that what attention sees changes the output visibly.
        parameter.data = (
            values / math.sqrt(parameter.shape[-1]) * 1.5 if values.ndim > 1 else 1 + 0.1 * values
        )
    return tokenizer.requires_grad_(False).eval()


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    """A standard normal draw, always the same."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))
