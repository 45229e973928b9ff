"""The published procedure, written straightforwardly: one request, float32, nothing prepared.

What the benchmarks compare with. Like the published code it grows caches by concatenation, rebuilds
rotary tables in every layer, calls experts one by one, and embeds a patch's constants anew at every
solver step. Weights are those of the plain modules, so both compute the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear, scaled_dot_product_attention, silu

from uniaudio.engine.speech_model import SpeechModel
from uniaudio.llm.flow_head import DiffusionBlock, FlowHead
from uniaudio.llm.model import DecoderLayer, LanguageModel
from uniaudio.llm.solver import SolverOptions, time_grid
from uniaudio.nn.moe import MixtureOfExperts
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.backbone import BackboneLayer
from uniaudio.tokenizer.semantic import SemanticBlock


@dataclass
class Cache:
    """Keys and values of every layer, `(1, heads, n, d)`."""

    layers: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    length: int = 0

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        if layer in self.layers:
            old_keys, old_values = self.layers[layer]
            keys, values = torch.cat((old_keys, keys), 2), torch.cat((old_values, values), 2)
        self.layers[layer] = keys, values
        return keys, values


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """As in transformers: variance in float32, then the weight."""
    wide = x.to(torch.float32)
    variance = wide.pow(2).mean(-1, keepdim=True)
    return weight * (wide * torch.rsqrt(variance + eps)).to(x.dtype)


def _tables(start: int, count: int, head_dim: int, base: float) -> tuple[Tensor, Tensor]:
    inverse = 1.0 / (base ** (torch.arange(0, head_dim, 2, dtype=torch.int64).float() / head_dim))
    angles = torch.arange(start, start + count).float()[:, None] * inverse[None]
    both = torch.cat((angles, angles), -1)
    return both.cos(), both.sin()


def _half_split(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), -1) * sin


def _interleaved(x: Tensor, start: int, base: float = 10000.0) -> Tensor:
    head_dim = x.shape[-1]
    inverse = 1.0 / (base ** (torch.arange(0, head_dim, 2).float() / head_dim))
    angles = (torch.arange(start, start + x.shape[-2]).float()[:, None] * inverse).repeat_interleave(2, -1)
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = torch.stack((-odd, even), -1).flatten(-2)
    return x * angles.cos() + turned * angles.sin()


def _causal(q: Tensor, k: Tensor, v: Tensor, window: int | None = None) -> Tensor:
    """Attention of the last positions `(1, heads, n, d)` to all `(1, kv_heads, m, d)`."""
    groups = q.shape[1] // k.shape[1]
    if groups > 1:
        k, v = k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)
    past = k.shape[2] - q.shape[2]
    distance = torch.arange(past, k.shape[2])[:, None] - torch.arange(k.shape[2])[None]
    seen = distance >= 0 if window is None else (distance >= 0) & (distance < window)
    return scaled_dot_product_attention(
        q, k, v, attn_mask=None if q.shape[2] == 1 and window is None else seen
    )


class PublishedModel:
    """A `SpeechModel`'s weights, run as published."""

    def __init__(self, model: SpeechModel) -> None:
        self._model = model

    def language_step(self, x: Tensor, cache: Cache) -> Tensor:
        """Hidden states `(1, n, H)` for embeddings `(1, n, H)`."""
        language = self._model.language_model
        for index, layer in enumerate(language.layers):
            x = x + self._attention(layer, index, x, cache, language)
            x = x + _mixture(layer.mlp, rms_norm(x, layer.post_attention_layernorm.weight, 1e-5))
        cache.length += x.shape[1]
        return rms_norm(x, language.norm.weight, 1e-5)

    def _attention(
        self, layer: DecoderLayer, index: int, x: Tensor, cache: Cache, language: LanguageModel
    ) -> Tensor:
        config = language.config
        fused = layer.attention.query_key_value(
            rms_norm(x, layer.input_layernorm.weight, config.rms_norm_eps)
        )
        heads = fused.view(1, x.shape[1], -1, config.head_dim)
        q, k, v = heads.split([config.num_heads, config.num_kv_heads, config.num_kv_heads], dim=-2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        cos, sin = _tables(cache.length, x.shape[1], config.head_dim, config.rope_theta)
        q, k = _half_split(q, cos, sin), _half_split(k, cos, sin)
        k, v = cache.extend(index, k, v)
        out = _causal(q, k, v).transpose(1, 2).reshape(1, x.shape[1], -1)
        result: Tensor = layer.attention.dense(out)
        return result

    def embed_patch(self, patch: Tensor, cache: Cache) -> Tensor:
        """Embedding `(1, 1, H)` of a patch `(1, P, C)` that continues the recording."""
        semantic = self._model.semantic
        x = semantic.expansion(gelu(semantic.projection(patch)))
        for index, block in enumerate(semantic.blocks):
            x = _semantic_block(block, index, x, cache)
        cache.length += patch.shape[1]
        pooling = self._model.pooling
        pooled = pooling.linear(rms_norm(semantic.norm(x), pooling.norm.weight, 1e-6))
        return pooled.mean(1, keepdim=True)

    def next_token(self, hidden: Tensor) -> int:
        """Greedy choice from `(1, 1, H)`."""
        return int(self._model.language_model.lm_head(hidden[:, -1:]).float().argmax(-1))

    def embed_token(self, token_id: int) -> Tensor:
        embedded: Tensor = self._model.language_model.word_embeddings(torch.tensor([[token_id]]))
        return embedded

    def sample_patch(
        self, condition: Tensor, history: Tensor, noise: Tensor, options: SolverOptions
    ) -> Tensor:
        """A patch `(1, P, C)` from a hidden state `(1, H)`; `noise` is `(num_steps, P, C)`."""
        head = self._model.flow_head
        times = time_grid(options.num_steps)
        x = noise[:1]
        for index, (now, after) in enumerate(pairwise(times)):
            both = _velocity(
                head,
                torch.cat((x, x)),
                torch.full((2,), now),
                torch.cat((condition, torch.zeros_like(condition))),
                torch.cat((history, history)),
            )
            conditional, unconditional = both.chunk(2)
            x = x + (after - now) * (unconditional + options.guidance_scale * (conditional - unconditional))
            if index < options.num_steps - 1:
                spread = options.sigma * (options.temperature * (after - now)) ** 0.5
                x = x + spread * noise[index + 1 : index + 2]
        return x

    def stops(self, hidden: Tensor) -> float:
        return float(self._model.stop_head(hidden).softmax(-1)[0, 1])


def _mixture(moe: MixtureOfExperts, x: Tensor) -> Tensor:
    """Experts one by one, each over the rows sorted to it."""
    rows = x.view(-1, x.shape[-1])
    scores = linear(rows.float(), moe.router.gate.weight.float()).softmax(-1, dtype=torch.float32)
    weights, ids = scores.topk(moe.router.top_k, sorted=True)
    if moe.router.normalize:
        weights = weights / weights.sum(-1, keepdim=True)
    counts = ids.new_zeros((ids.shape[0], moe.experts.num_experts))
    counts.scatter_(1, ids, 1)
    order = ids.view(-1).argsort()
    sorted_rows = rows[order // ids.shape[1]]
    outputs, start = [], 0
    for expert, count in enumerate(counts.sum(0).cpu().numpy()):
        end = start + int(count)
        if start == end:
            continue
        mine = sorted_rows[start:end]
        experts = moe.experts
        inner = silu(linear(mine, experts.gate_proj[expert])) * linear(mine, experts.up_proj[expert])
        outputs.append(linear(inner, experts.down_proj[expert]))
        start = end
    gathered = torch.cat(outputs)
    placed = torch.empty_like(gathered)
    placed[order] = gathered
    mixed = (placed.view(*ids.shape, -1).type(weights.dtype) * weights.unsqueeze(-1)).sum(1).type(x.dtype)
    out = mixed.view(*x.shape)
    return out if moe.shared_experts is None else out + moe.shared_experts(x)


def _semantic_block(block: SemanticBlock, index: int, x: Tensor, cache: Cache) -> Tensor:
    attention = block.attention
    normed = block.attention_norm(x)
    q, k, v = (
        layer(normed).view(1, x.shape[1], -1, attention.head_dim).transpose(1, 2)
        for layer in (attention.query, attention.key, attention.value)
    )
    q, k = _interleaved(q, cache.length), _interleaved(k, cache.length)
    k, v = cache.extend(index, k, v)
    x = x + attention.out(_causal(q, k, v).transpose(1, 2).flatten(2))
    out: Tensor = x + block.contract(gelu(block.expand(block.feed_forward_norm(x))))
    return out


def _velocity(head: FlowHead, x: Tensor, time: Tensor, condition: Tensor, history: Tensor) -> Tensor:
    lead = head.time_embedding(time) + head.condition_embedding(condition)
    sequence = torch.cat((lead[:, None], head.frame_embedding(history), head.frame_embedding(x)), 1)
    for block in head.blocks:
        sequence = _flow_block(block, sequence)
    out: Tensor = head.output(rms_norm(sequence, head.norm.weight, 1e-6))
    return out[:, -x.shape[1] :]


def _flow_block(block: DiffusionBlock, x: Tensor) -> Tensor:
    attention = block.attention
    normed = rms_norm(x, block.norm1.weight, 1e-6)
    q, k, v = (
        layer(normed).view(*x.shape[:2], attention.num_heads, attention.head_dim).transpose(1, 2)
        for layer in (attention.to_q, attention.to_k, attention.to_v)
    )
    q, k = _interleaved(q, 0), _interleaved(k, 0)
    x = x + attention.to_out(scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
    normed = rms_norm(x, block.norm2.weight, 1e-6)
    out: Tensor = x + block.linear_out(gelu(block.linear_in(normed), approximate="tanh"))
    return out


class PublishedDecoder:
    """A tokenizer's decoder, streamed one chunk of one stream at a time, with an ever growing cache."""

    def __init__(self, tokenizer: AudioTokenizer) -> None:
        self._decoder = tokenizer.decoder
        self._cache = Cache()
        self._overlap = self._decoder.head.new_state()

    def decode(self, latents: Tensor, *, last: bool = False) -> Tensor:
        """Samples for the next latents `(n, C)` of the stream."""
        backbone = self._decoder.backbone
        x = self._decoder.projection(latents)[None]
        for index, layer in enumerate(backbone.layers):
            x = self._layer(layer, index, x, backbone.config.rope_theta)
        self._cache.length += latents.shape[0]
        hidden = rms_norm(x, backbone.norm.weight, backbone.norm.eps)[0]
        return self._decoder.head.stream(hidden, [latents.shape[0]], [self._overlap], [last])[0]

    def _layer(self, layer: BackboneLayer, index: int, x: Tensor, base: float) -> Tensor:
        attention = layer.attention
        normed = rms_norm(x, layer.attention_norm.weight, layer.attention_norm.eps)
        q, k, v = (
            part(normed).view(1, x.shape[1], -1, attention.head_dim).transpose(1, 2)
            for part in (attention.query, attention.key, attention.value)
        )
        cos, sin = _tables(self._cache.length, x.shape[1], attention.head_dim, base)
        q, k = _half_split(q, cos, sin), _half_split(k, cos, sin)
        k, v = self._cache.extend(index, k, v)
        x = x + attention.out(_causal(q, k, v, attention.window_keys).transpose(1, 2).flatten(2))
        normed = rms_norm(x, layer.feed_forward_norm.weight, layer.feed_forward_norm.eps)
        out: Tensor = x + layer.feed_forward(normed)
        return out
