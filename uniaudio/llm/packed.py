"""The language model and the flow head in the CPU kernels' layout; they take the plain ones' places."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.llm.flow_head import DiffusionBlock, FlowHead
from uniaudio.llm.model import DecoderLayer, LanguageModel
from uniaudio.llm.solver import Observer, SolverOptions, options_per_row, time_grid
from uniaudio.nn.feed_forward import GatedFeedForward
from uniaudio.nn.held_experts import HeldExperts
from uniaudio.nn.moe import Experts
from uniaudio.nn.native.cache import PackedCache, run_stack
from uniaudio.nn.native.library import load_kernels
from uniaudio.nn.native.packed import (
    Activation,
    Affine,
    LayerWeights,
    PackedMatrix,
    PackedStack,
    Precision,
    StackShape,
    half_split,
)
from uniaudio.nn.native.pool import BLOCK_SIZE, BlockPool
from uniaudio.nn.native.threads import on_threads
from uniaudio.nn.rope import rotary_frequencies

_FLOW_EPS = 1e-6
_FLOW_ROPE_BASE = 10000.0


class PackedLanguageModel:
    """Does what `LanguageModel` does for inference, over blocks of a pool of its own."""

    def __init__(
        self, model: LanguageModel, precision: Precision, *, max_positions: int | None = None
    ) -> None:
        self.config = model.config
        self.word_embeddings = model.word_embeddings
        config = model.config
        layers: list[DecoderLayer] = _layers(model.layers, DecoderLayer)
        experts = layers[0].mlp.experts
        self._stack = PackedStack(
            language_shape(config),
            [_language_layer(layer) for layer in layers],
            model.norm.weight,
            None,
            precision,
            experts.others if isinstance(experts, HeldExperts) else None,
        )
        self._lm_head = PackedMatrix(_affine(model.lm_head), precision)
        max_blocks = None if max_positions is None else -(-max_positions // BLOCK_SIZE)
        self.pool = BlockPool(self._stack.block_bytes, max_blocks)

    def new_cache(self) -> PackedCache:
        """What the model remembers of one sequence; empty."""
        return PackedCache(self.pool)

    def embed(self, token_ids: Tensor) -> Tensor:
        """Embeddings `(N, H)` of ids `(N,)`; ids beyond the table take its last row (7.2)."""
        out: Tensor = self.word_embeddings(token_ids.clamp(0, self.config.vocab_size - 1))
        return out.float()

    def __call__(
        self,
        embeddings: Tensor,
        lengths: Sequence[int],
        caches: Sequence[PackedCache],
        audio_mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states `(N, H)`, float32; arguments as in `LanguageModel.forward`."""
        return run_stack(self._stack, embeddings, lengths, caches, audio_mask)

    def logits(self, hidden: Tensor) -> Tensor:
        """Text logits `(N, V)`, float32, of hidden states `(N, H)`."""
        return self._lm_head(hidden)


class PackedFlowHead:
    """The flow head with its solver; one call makes the patches of many sequences."""

    def __init__(self, head: FlowHead, precision: Precision) -> None:
        self._kernels = load_kernels()
        config = self.config = head.config
        self._time_embedding = head.time_embedding
        self._time_rows: dict[int, Tensor] = {}
        self._num_weights = sum(parameter.numel() for parameter in head.blocks.parameters())
        stack = PackedStack(
            _flow_shape(head),
            [_flow_layer(block, config) for block in _layers(head.blocks, DiffusionBlock)],
            head.norm.weight,
            None,
            precision,
        )
        # Small, and read once a step or a patch: they stay exact.
        outer = [
            PackedMatrix(_affine(linear), Precision.FLOAT32)
            for linear in (head.frame_embedding, head.condition_embedding, head.output)
        ]
        self._handle = self._kernels.ua_new_flow_head(
            stack.give_away(), *(m.give_away() for m in outer), config.patch_size, config.latent_dim
        )
        if not self._handle:
            raise MemoryError("no memory for the packed flow head")
        weakref.finalize(self, self._kernels.ua_free_flow_head, self._handle)

    @torch.no_grad()
    def solve(
        self,
        condition: Tensor,
        history: Tensor,
        initial_noise: Tensor,
        step_noise: Tensor,
        options: SolverOptions | Sequence[SolverOptions] | None = None,
        observe: Observer | None = None,
    ) -> Tensor:
        """A patch `(B, P, C)`, float32, for every row; arguments as in `uniaudio.llm.solver.solve`."""
        rows = options_per_row(options, condition.shape[0])
        num_steps = rows[0].num_steps
        guidance = _floats([row.guidance_scale for row in rows])
        spread = _floats([row.spread for row in rows])
        inputs = [x.float().contiguous() for x in (condition, history, initial_noise, step_noise)]
        out = torch.empty_like(inputs[2])
        trace = torch.empty(num_steps, *out.shape) if observe is not None else None
        times = _floats(time_grid(num_steps))
        arguments = (
            self._handle,
            len(rows),
            num_steps,
            *(x.data_ptr() for x in inputs),
            guidance.ctypes.data,
            spread.ctypes.data,
            times.ctypes.data,
            self._embedded_times(num_steps).data_ptr(),
            int(any(row.guidance_scale != 1.0 for row in rows)),
            out.data_ptr(),
            None if trace is None else trace.data_ptr(),
        )
        failed = on_threads(
            len(rows) * num_steps * self._num_weights,
            lambda threads: self._kernels.ua_solve(*arguments, threads),
        )
        if failed:
            raise MemoryError("no memory for the flow head's working rows")
        if observe is not None and trace is not None:
            for state in (inputs[2], *trace):
                observe(state)
        return out

    def _embedded_times(self, num_steps: int) -> Tensor:
        """The time embeddings `(num_steps, D)` of a grid, computed once."""
        if num_steps not in self._time_rows:
            times = torch.tensor(time_grid(num_steps)[:-1])
            self._time_rows[num_steps] = self._time_embedding(times).float().contiguous()
        return self._time_rows[num_steps]


def language_shape(config: LanguageModelConfig) -> StackShape:
    """The language model as a stack of the kernels."""
    return StackShape(
        dim=config.hidden_size,
        num_heads=config.num_heads,
        num_kv_heads=config.num_kv_heads,
        head_dim=config.head_dim,
        num_layers=config.num_layers,
        frequencies=rotary_frequencies(config.head_dim, config.rope_theta).double().numpy(),
        eps=config.rms_norm_eps,
        activation=Activation.SILU_GATE,
        num_experts=config.num_experts,
        top_k=config.top_k,
        normalize=config.norm_topk_prob and config.top_k > 1,
    )


def _language_layer(layer: DecoderLayer) -> LayerWeights:
    moe = layer.mlp
    shared = moe.shared_experts
    audio_gate = moe.router.audio_gate
    return LayerWeights(
        attention_norm=layer.input_layernorm.weight,
        feed_forward_norm=layer.post_attention_layernorm.weight,
        query_key_value=_affine(layer.attention.query_key_value),
        out=_affine(layer.attention.dense),
        up=None if shared is None else _gate_and_up(shared),
        down=None if shared is None else _affine(shared.down_proj),
        router=_affine(moe.router.gate),
        audio_router=None if audio_gate is None else _affine(audio_gate),
        experts=expert_weights(moe.experts),
        first_expert=moe.experts.held.start if isinstance(moe.experts, HeldExperts) else 0,
    )


def _gate_and_up(feed_forward: GatedFeedForward) -> Affine:
    gate, up = feed_forward.gate_proj.weight, feed_forward.up_proj.weight
    return Affine(torch.cat((gate.detach(), up.detach())), is_gated=True)


def expert_weights(experts: Experts) -> list[tuple[Affine, Affine]]:
    """Gate and up in one, and down, of every expert."""
    return [
        (Affine(torch.cat((gate.detach(), up.detach())), is_gated=True), Affine(down))
        for gate, up, down in zip(experts.gate_proj, experts.up_proj, experts.down_proj, strict=True)
    ]


def _flow_shape(head: FlowHead) -> StackShape:
    config = head.config
    head_dim = config.hidden_size // config.num_heads
    frequencies = head.rotary_frequencies
    if frequencies is None:
        frequencies = rotary_frequencies(head_dim, _FLOW_ROPE_BASE)
    return StackShape(
        dim=config.hidden_size,
        num_heads=config.num_heads,
        num_kv_heads=config.num_heads,
        head_dim=head_dim,
        num_layers=config.depth,
        frequencies=frequencies.double().numpy(),
        eps=_FLOW_EPS,
        activation=Activation.GELU_TANH,
        num_rotary_heads=config.num_rotary_heads,
    )


def _flow_layer(block: DiffusionBlock, config: FlowHeadConfig) -> LayerWeights:
    attention = block.attention
    head_dim = config.hidden_size // config.num_heads
    turned = [half_split(x.weight, head_dim) for x in (attention.to_q, attention.to_k)]
    biases = [half_split(x.bias, head_dim) for x in (attention.to_q, attention.to_k)]
    norms = [
        None if norm is None else half_split(norm.weight, head_dim)
        for norm in (attention.q_norm, attention.k_norm)
    ]
    return LayerWeights(
        attention_norm=block.norm1.weight,
        feed_forward_norm=block.norm2.weight,
        query_key_value=Affine(
            torch.cat((*turned, attention.to_v.weight)), torch.cat((*biases, attention.to_v.bias))
        ),
        out=_affine(attention.to_out),
        up=_affine(block.linear_in),
        down=_affine(block.linear_out),
        query_norm=norms[0],
        key_norm=norms[1],
    )


def _affine(linear: nn.Linear) -> Affine:
    return Affine(linear.weight, linear.bias)


def _layers(modules: nn.ModuleList, kind: type[nn.Module]) -> list:  # type: ignore[type-arg]
    assert all(isinstance(module, kind) for module in modules)
    return list(modules)


def _floats(values: Sequence[float]) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32)
