"""WavLM with layer norms first (the large model), for the published speaker embedding (evaluation 1.1).

Parameters carry the names of the published checkpoints. For one recording at a time: no masks, no dropout.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Kernel and stride of the convolutions over samples: 320 samples a frame.
_CONVOLUTIONS = ((10, 5), (3, 2), (3, 2), (3, 2), (3, 2), (2, 2), (2, 2))
_GATES = 8


@dataclass(frozen=True, kw_only=True)
class WavLmConfig:
    """Sizes; the defaults are those of WavLM-large."""

    conv_dim: int = 512
    dim: int = 1024
    num_layers: int = 24
    num_heads: int = 16
    hidden: int = 4096
    position_kernel: int = 128
    position_groups: int = 16
    num_buckets: int = 320
    max_distance: int = 800


class WavLm(nn.Module):
    """A 16 kHz waveform `(num_samples,)` to its hidden states `(num_layers + 1, num_frames, dim)`."""

    def __init__(self, config: WavLmConfig) -> None:
        super().__init__()
        self.feature_extractor = _Convolutions(config.conv_dim)
        self.layer_norm = nn.LayerNorm(config.conv_dim)
        self.post_extract_proj = nn.Linear(config.conv_dim, config.dim)
        self.encoder = _Encoder(config)

    def forward(self, waveform: Tensor) -> Tensor:
        normalised = nn.functional.layer_norm(waveform, waveform.shape)
        frames = self.feature_extractor(normalised[None, None])[0].T
        states: Tensor = self.encoder(self.post_extract_proj(self.layer_norm(frames)))
        return states


class _Convolutions(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        layers = []
        for number, (kernel, stride) in enumerate(_CONVOLUTIONS):
            convolution = nn.Conv1d(1 if number == 0 else dim, dim, kernel, stride, bias=False)
            # Places 1 and 2.0 hold what has no parameters in the published layout.
            norm = nn.Sequential(nn.Identity(), nn.LayerNorm(dim))
            layers.append(nn.Sequential(convolution, nn.Identity(), norm))
        self.conv_layers = nn.ModuleList(layers)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.conv_layers:
            assert isinstance(layer, nn.Sequential)
            convolution, _, norm = layer
            x = nn.functional.gelu(norm(convolution(x).transpose(1, 2)).transpose(1, 2))
        return x


class _Encoder(nn.Module):
    def __init__(self, config: WavLmConfig) -> None:
        super().__init__()
        self.config = config
        self.pos_conv = nn.Sequential(_PositionConvolution(config))
        self.layers = nn.ModuleList(_Layer(config, is_first=n == 0) for n in range(config.num_layers))
        self.layer_norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.pos_conv(x.T[None])[0].T
        buckets = _buckets(len(x), self.config, x.device)
        first = self.layers[0]
        assert isinstance(first, _Layer)
        bias = first.self_attn.relative_attention_bias(buckets).permute(2, 0, 1)  # (num_heads, T, T)
        states = []
        for layer in self.layers:
            states.append(x)
            x = layer(x, bias)
        return torch.stack([*states, self.layer_norm(x)])


class _PositionConvolution(nn.Module):
    """A grouped convolution over frames, its weight stored as direction and length per tap."""

    def __init__(self, config: WavLmConfig) -> None:
        super().__init__()
        dim, kernel, self.groups = config.dim, config.position_kernel, config.position_groups
        self.weight_g = nn.Parameter(torch.ones(1, 1, kernel))
        self.weight_v = nn.Parameter(torch.randn(dim, dim // self.groups, kernel) * 0.02)
        self.bias = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.weight_v.shape[-1]
        weight = self.weight_g * self.weight_v / self.weight_v.norm(dim=(0, 1), keepdim=True)
        y = nn.functional.conv1d(x, weight, self.bias, padding=kernel // 2, groups=self.groups)
        # An even kernel gives one frame too many.
        return nn.functional.gelu(y[..., : x.shape[-1]])


class _Layer(nn.Module):
    def __init__(self, config: WavLmConfig, *, is_first: bool) -> None:
        super().__init__()
        self.self_attn = _Attention(config, has_bias=is_first)
        self.self_attn_layer_norm = nn.LayerNorm(config.dim)
        self.fc1 = nn.Linear(config.dim, config.hidden)
        self.fc2 = nn.Linear(config.hidden, config.dim)
        self.final_layer_norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        x = x + self.self_attn(self.self_attn_layer_norm(x), bias)
        changed: Tensor = self.fc2(nn.functional.gelu(self.fc1(self.final_layer_norm(x))))
        return x + changed


class _Attention(nn.Module):
    """Attention over frames `(T, dim)` with a position bias that each query scales by its gates."""

    def __init__(self, config: WavLmConfig, *, has_bias: bool) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            nn.Linear(config.dim, config.dim) for _ in range(4)
        )
        self.grep_linear = nn.Linear(config.dim // config.num_heads, _GATES)
        self.grep_a = nn.Parameter(torch.ones(1, config.num_heads, 1, 1))
        if has_bias:
            self.relative_attention_bias = nn.Embedding(config.num_buckets, config.num_heads)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        query, key, value = (self._heads(part(x)) for part in (self.q_proj, self.k_proj, self.v_proj))
        gates = self.grep_linear(self._heads(x)).view(self.num_heads, -1, 2, _GATES // 2).sum(-1).sigmoid()
        first, second = gates.chunk(2, -1)  # (num_heads, T, 1)
        scale = first * (second * self.grep_a[0] - 1.0) + 2.0
        scores = query @ key.transpose(1, 2) / math.sqrt(query.shape[-1]) + scale * bias
        mixed = scores.softmax(-1) @ value
        out: Tensor = self.out_proj(mixed.transpose(0, 1).flatten(1))
        return out

    def _heads(self, x: Tensor) -> Tensor:
        """`(T, dim)` to `(num_heads, T, head_dim)`."""
        return x.view(len(x), self.num_heads, -1).transpose(0, 1)


def _buckets(length: int, config: WavLmConfig, device: torch.device) -> Tensor:
    """Bucket of every pair of frames `(T, T)`: exact near by, logarithmic further away, by direction."""
    places = torch.arange(length, device=device)
    offset = places[None] - places[:, None]
    half = config.num_buckets // 2
    exact = half // 2
    distance = offset.abs()
    far = torch.log(distance.clamp_min(1).float() / exact) / math.log(config.max_distance / exact)
    far_bucket = (exact + far * (half - exact)).long().clamp_max(half - 1)
    return (offset > 0).long() * half + torch.where(distance < exact, distance, far_bucket)
