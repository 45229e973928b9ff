"""Whisper's encoder as a frozen teacher: 50 features a second from a waveform (model specification 8.1).

Blocks have the names and shapes of the semantic module's, so its weights are a starting point for them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad

from training.objectives.whisper_mel import HOP_LENGTH, SAMPLE_RATE, log_mel
from uniaudio.errors import CheckpointError, LimitExceededError
from uniaudio.nn.attention import plain_attention
from uniaudio.nn.norm import LayerNorm
from uniaudio.tokenizer.semantic import SemanticModule

_LONGEST_WAVELENGTH = 10000.0
_SAMPLES_PER_POSITION = 2 * HOP_LENGTH


@dataclass(frozen=True, kw_only=True)
class WhisperConfig:
    """Sizes of one encoder; `num_positions` of 20 ms are the context, 30 s in every release."""

    num_mels: int
    dim: int
    num_heads: int
    num_layers: int
    num_positions: int = 1500

    def __post_init__(self) -> None:
        if self.dim % (2 * self.num_heads):
            raise CheckpointError(
                f"Whisper of width {self.dim} does not have {self.num_heads} heads of even width"
            )


class WhisperAttention(nn.Module):
    """Attention of every position to all, `(B, T, dim)` to `(B, T, dim)`."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim, bias=False)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            linear(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for linear in (self.query, self.key, self.value)
        )
        out: Tensor = self.out(plain_attention(q, k, v).transpose(1, 2).flatten(2))
        return out


class WhisperBlock(nn.Module):
    """Pre-norm attention and a feed-forward of four times the width, each with its residual."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.attention_norm = LayerNorm(dim)
        self.attention = WhisperAttention(dim, num_heads)
        self.feed_forward_norm = LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.contract = nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        out: Tensor = x + self.contract(gelu(self.expand(self.feed_forward_norm(x))))
        return out


class WhisperEncoder(nn.Module):
    """Waveforms at 16 kHz to features at 50 Hz, each of which has heard the whole recording."""

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.first_convolution = nn.Conv1d(config.num_mels, config.dim, 3, padding=1)
        self.second_convolution = nn.Conv1d(config.dim, config.dim, 3, stride=2, padding=1)
        positions = nn.Parameter(sinusoids(config.num_positions, config.dim), requires_grad=False)
        self.position_embeddings = positions
        self.blocks = nn.ModuleList(
            WhisperBlock(config.dim, config.num_heads) for _ in range(config.num_layers)
        )
        self.norm = LayerNorm(config.dim)

    @property
    def output_dim(self) -> int:
        """Width of a feature."""
        return self.config.dim

    def forward(self, waveform: Tensor) -> Tensor:
        """Features `(B, T, dim)`, float32, one per 320 samples begun, of `(B, num_samples)`.

        Recordings are filled up with silence to the whole context, as in Whisper's own training.
        Raises LimitExceededError for more than the context.
        """
        num_frames = -(-waveform.shape[-1] // _SAMPLES_PER_POSITION)
        if num_frames > self.config.num_positions:
            limit = self.config.num_positions * _SAMPLES_PER_POSITION / SAMPLE_RATE
            raise LimitExceededError(
                f"{waveform.shape[-1] / SAMPLE_RATE:g} s of audio; Whisper hears {limit:g} s: give shorter pieces"
            )
        missing = self.config.num_positions * _SAMPLES_PER_POSITION - waveform.shape[-1]
        mel = log_mel(pad(waveform.float(), (0, missing)), self.config.num_mels)
        return self.features(mel)[:, :num_frames].float()

    def features(self, mel: Tensor) -> Tensor:
        """Features `(B, T, dim)` of log-mel frames `(B, num_mels, 2 T)`."""
        x = gelu(self.first_convolution(mel.to(self.first_convolution.weight.dtype)))
        x = gelu(self.second_convolution(x)).transpose(1, 2)
        x = x + self.position_embeddings[: x.shape[1]]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out


def sinusoids(num_positions: int, dim: int) -> Tensor:
    """Position embeddings `(num_positions, dim)`: sines in the first half, cosines in the second."""
    steps = torch.arange(dim // 2, dtype=torch.float64) / (dim // 2 - 1)
    angles = torch.arange(num_positions)[:, None] * torch.exp(-math.log(_LONGEST_WAVELENGTH) * steps)
    return torch.cat((angles.sin(), angles.cos()), 1).float()


@torch.no_grad()
def initialise_semantic(semantic: SemanticModule, whisper: WhisperEncoder) -> None:
    """Copies the blocks and the last norm; convolutions and positions have no counterpart.

    Raises CheckpointError where the shapes differ. Heads must be equal too: they are not seen in shapes.
    """
    config = whisper.config
    found = (len(semantic.blocks), semantic.norm.weight.shape[0], semantic.head_dim)
    expected = (config.num_layers, config.dim, config.dim // config.num_heads)
    if found != expected:
        raise CheckpointError(
            f"the semantic module has (layers, width, head width) {found}, this Whisper has {expected}; "
            "choose a config with the teacher's sizes or begin from random weights"
        )
    for ours, theirs in _pairs(semantic, whisper):
        ours.load_state_dict(theirs.state_dict())


def _pairs(semantic: SemanticModule, whisper: WhisperEncoder) -> Sequence[tuple[nn.Module, nn.Module]]:
    return ((semantic.blocks, whisper.blocks), (semantic.norm, whisper.norm))
