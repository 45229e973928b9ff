"""The specification once more, as plainly as possible: loops over positions, heads and experts.

It reads published keys straight from a checkpoint's tensors, in double precision, and shares no code
with the models it is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def language_model(
    weights: Mapping[str, Tensor], config: Mapping[str, Any], x: Tensor, audio_mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Final hidden states `(L, H)` and logits `(L, V)` for embeddings `(L, H)` (section 3)."""
    eps = config["rms_norm_eps"]
    for index in range(config["num_hidden_layers"]):
        part = {
            key.removeprefix(f"model.model.layers.{index}."): value.double()
            for key, value in weights.items()
            if key.startswith(f"model.model.layers.{index}.")
        }
        x = x + _attention(part, config, rms_norm(x, part["input_layernorm.weight"], eps))
        normed = rms_norm(x, part["post_attention_layernorm.weight"], eps)
        x = x + torch.stack(
            [
                _mixture(part, config, row, bool(is_audio))
                for row, is_audio in zip(normed, audio_mask, strict=True)
            ]
        )
    hidden = rms_norm(x, weights["model.model.norm.weight"].double(), eps)
    tied = config.get("tie_word_embeddings")
    head = weights["model.model.word_embeddings.weight" if tied else "model.lm_head.weight"].double()
    if config["norm_head"]:
        head = head / (head.norm(dim=0, keepdim=True) + 1e-7)
    return hidden, hidden @ head.T


def _attention(part: Mapping[str, Tensor], config: Mapping[str, Any], x: Tensor) -> Tensor:
    num_heads, num_kv, dim = (
        config[name] for name in ("num_attention_heads", "num_key_value_heads", "head_dim")
    )
    fused = x @ part["attention.query_key_value.weight"].T
    fused = fused + part.get("attention.query_key_value.bias", torch.zeros(()))
    heads = fused.view(len(x), -1, dim)
    out = torch.zeros(len(x), num_heads, dim, dtype=x.dtype)
    for head in range(num_heads):
        kv = head // (num_heads // num_kv)
        q = _half_split(heads[:, head], config["rope_theta"])
        k = _half_split(heads[:, num_heads + kv], config["rope_theta"])
        v = heads[:, num_heads + num_kv + kv]
        for position in range(len(x)):
            scores = (k[: position + 1] @ q[position]) / math.sqrt(dim)
            out[position, head] = scores.softmax(0) @ v[: position + 1]
    result = out.flatten(1) @ part["attention.dense.weight"].T
    return result + part.get("attention.dense.bias", torch.zeros(()))


def _half_split(x: Tensor, base: float) -> Tensor:
    half = x.shape[-1] // 2
    out = torch.empty_like(x)
    for k in range(half):
        angle = torch.arange(len(x), dtype=x.dtype) * base ** (-2 * k / (2 * half))
        out[:, k] = x[:, k] * angle.cos() - x[:, k + half] * angle.sin()
        out[:, k + half] = x[:, k + half] * angle.cos() + x[:, k] * angle.sin()
    return out


def _mixture(part: Mapping[str, Tensor], config: Mapping[str, Any], x: Tensor, is_audio: bool) -> Tensor:
    gate = "audio_gate" if is_audio and config["multi_gate"] else "gate"
    probabilities = (part[f"mlp.{gate}.weight"] @ x).softmax(0)
    ranked = sorted(range(len(probabilities)), key=lambda e: -float(probabilities[e]))
    chosen = ranked[: config["num_experts_per_tok"]]
    total = sum(probabilities[e] for e in chosen)
    renormalised = config["norm_topk_prob"] and len(chosen) > 1
    out = _gated(part, "mlp.shared_experts", x)
    for expert in chosen:
        weight = probabilities[expert] / total if renormalised else probabilities[expert]
        out = out + weight * _gated(part, f"mlp.experts.{expert}", x)
    return out


def _gated(part: Mapping[str, Tensor], prefix: str, x: Tensor) -> Tensor:
    if f"{prefix}.gate_proj.weight" in part:
        gate, up, down = (part[f"{prefix}.{name}_proj.weight"] for name in ("gate", "up", "down"))
    else:
        stacked, _, expert = prefix.rpartition(".")
        gate, up, down = (
            part[f"{stacked}.{name}_proj.weight"][int(expert)] for name in ("gate", "up", "down")
        )
    activated = gate @ x
    return down @ (activated * torch.sigmoid(activated) * (up @ x))


def velocity(
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    x: Tensor,
    time: float,
    condition: Tensor,
    history: Tensor,
) -> Tensor:
    """The flow head's velocity `(P, C)` for one noisy patch (section 4.2)."""
    part = {
        key.removeprefix("flowloss.cfm.model."): value.double()
        for key, value in weights.items()
        if key.startswith("flowloss.")
    }

    def linear(name: str, value: Tensor) -> Tensor:
        return value @ part[f"{name}.weight"].T + part[f"{name}.bias"]

    angles = [1000 * time * math.exp(-math.log(10000) * k / 127) for k in range(128)]
    features = torch.tensor([math.sin(a) for a in angles] + [math.cos(a) for a in angles]).double()
    hidden = linear("t_embedder.time_mlp.0", features)
    lead = linear("t_embedder.time_mlp.2", hidden * torch.sigmoid(hidden))
    lead = lead + linear("c_embedder.cond_embedder", condition)
    seq = torch.cat((lead[None], linear("x_embedder", history), linear("x_embedder", x)))
    num_heads = config["num_heads"]
    dim = seq.shape[1] // num_heads
    rotated = config.get("pe_attn_head")
    for block in range(config["depth"]):
        name = f"blocks.{block}"
        normed = rms_norm(seq, part[f"{name}.norm1.weight"], 1e-6)
        q, k, v = (linear(f"{name}.attn.to_{letter}", normed).view(-1, num_heads, dim) for letter in "qkv")
        if config.get("qk_norm") == "rms_norm":
            q = rms_norm(q, part[f"{name}.attn.q_norm.weight"], 1e-6)
            k = rms_norm(k, part[f"{name}.attn.k_norm.weight"], 1e-6)
        outputs = []
        for head in range(num_heads):
            qh, kh = q[:, head], k[:, head]
            if rotated is None or head < rotated:
                qh, kh = _interleaved(qh), _interleaved(kh)
            outputs.append((qh @ kh.T / math.sqrt(dim)).softmax(-1) @ v[:, head])
        seq = seq + linear(f"{name}.attn.to_out.0", torch.cat(outputs, -1))
        inner = linear(f"{name}.mlp.ff.0.0", rms_norm(seq, part[f"{name}.norm2.weight"], 1e-6))
        curve = torch.tanh(math.sqrt(2 / math.pi) * (inner + 0.044715 * inner**3))
        seq = seq + linear(f"{name}.mlp.ff.2", 0.5 * inner * (1 + curve))
    normed = rms_norm(seq, part["final_layer.norm_final.weight"], 1e-6)
    return linear("final_layer.linear", normed)[-len(x) :]


def _interleaved(x: Tensor) -> Tensor:
    out = torch.empty_like(x)
    for k in range(x.shape[-1] // 2):
        angle = torch.arange(len(x), dtype=x.dtype) * 10000.0 ** (-2 * k / x.shape[-1])
        out[:, 2 * k] = x[:, 2 * k] * angle.cos() - x[:, 2 * k + 1] * angle.sin()
        out[:, 2 * k + 1] = x[:, 2 * k + 1] * angle.cos() + x[:, 2 * k] * angle.sin()
    return out
