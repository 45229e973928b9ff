"""Weights in the kernels' layout: matrices, and stacks of layers that run over packed sequences."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniaudio.nn.held_experts import OtherRanks
from uniaudio.nn.native.asking import Asking
from uniaudio.nn.native.library import load_kernels
from uniaudio.nn.native.threads import on_threads


class Precision(Enum):
    """What weights are held and multiplied in; sums are float32 always.

    INT8 holds a whole number and one scale per output; its inputs become whole numbers of up to 16 bits
    for each product, which adds nothing to speak of to the weights' own error. Keys and values of past
    positions are kept in float32 for FLOAT32, else in bfloat16.
    """

    FLOAT32 = 0
    BFLOAT16 = 1
    INT8 = 2

    @property
    def rows_dtype(self) -> torch.dtype:
        """What the rows of a product's input are: what experts take from rank to rank."""
        return torch.bfloat16 if self is Precision.BFLOAT16 else torch.float32


class Activation(Enum):
    """What a feed-forward block applies to its inner layer."""

    GELU_ERF = 2
    GELU_TANH = 3
    SILU_GATE = 4


_VECTORS = (
    "attention_norm",
    "attention_norm_bias",
    "feed_forward_norm",
    "feed_forward_norm_bias",
    "query_norm",
    "key_norm",
)
_FINAL_NORM, _FINAL_NORM_BIAS = 6, 7
_MATRICES = ("query_key_value", "out", "up", "down", "router", "audio_router")
_EXPERT_UP, _EXPERT_DOWN = 6, 7
_NO_ANSWER = 2


@dataclass(frozen=True)
class Affine:
    """A linear layer's weight `(num_out, num_in)` and bias; `is_gated` ones hold the gate, then up."""

    weight: Tensor
    bias: Tensor | None = None
    is_gated: bool = False


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """One layer. Layers with a router have experts; `up` and `down` are then the shared expert."""

    attention_norm: Tensor
    feed_forward_norm: Tensor
    query_key_value: Affine
    out: Affine
    up: Affine | None
    down: Affine | None
    attention_norm_bias: Tensor | None = None
    feed_forward_norm_bias: Tensor | None = None
    query_norm: Tensor | None = None
    key_norm: Tensor | None = None
    router: Affine | None = None
    audio_router: Affine | None = None
    experts: Sequence[tuple[Affine, Affine]] = ()
    first_expert: int = 0  # number of the first of `experts`; other ranks hold what is not among them


@dataclass(frozen=True, kw_only=True)
class StackShape:
    """What a stack's layers share. Rotary pairs are half a head apart; see `half_split`."""

    dim: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    num_layers: int
    frequencies: NDArray[np.float64]
    eps: float
    activation: Activation
    windows: Sequence[int | None] = ()  # keys that each layer's queries see; None sees the whole past
    num_rotary_heads: int | None = None
    num_experts: int = 0
    top_k: int = 1
    normalize: bool = False

    @property
    def max_window(self) -> int | None:
        """Keys after which every layer has forgotten a position; None where one never does."""
        if not self.windows or None in self.windows:
            return None
        return max(window for window in self.windows if window is not None)


class PackedMatrix:
    """A linear layer: `(rows, num_in)` to `(rows, num_out)`, float32."""

    def __init__(self, affine: Affine, precision: Precision) -> None:
        self._kernels = load_kernels()
        self.num_out, self.num_in = affine.weight.shape
        self.handle = _pack(affine, precision)
        self._finalizer = weakref.finalize(self, self._kernels.ua_free_matrix, self.handle)

    def give_away(self) -> int:
        """The handle, for an owner that frees it."""
        self._finalizer.detach()
        return self.handle

    def __call__(
        self, x: Tensor, *, norm: tuple[Tensor, float] | None = None, activation: Activation | None = None
    ) -> Tensor:
        """The product for rows `x`, which an RMSNorm (weight, eps) may precede and an activation follow."""
        rows = x.float().contiguous()
        out = torch.empty(rows.shape[0], self.num_out)
        if rows.shape[0]:
            weight, eps = norm or (None, 0.0)
            arguments = (
                self.handle,
                rows.shape[0],
                rows.data_ptr(),
                None if weight is None else weight.data_ptr(),
                eps,
                0 if activation is None else activation.value,
                out.data_ptr(),
            )
            failed = on_threads(
                rows.shape[0] * self.num_out * self.num_in,
                lambda threads: self._kernels.ua_multiply(*arguments, threads),
            )
            check(failed)
        return out


class PackedStack:
    """Transformer layers in C++. It remembers nothing: keys and values lie in blocks of the caller's."""

    def __init__(
        self,
        shape: StackShape,
        layers: Sequence[LayerWeights],
        final_norm: Tensor,
        final_norm_bias: Tensor | None,
        precision: Precision,
        others: OtherRanks | None = None,
    ) -> None:
        self._kernels = load_kernels()
        self.shape = shape
        self.handle = new_stack(shape, precision)
        self._finalizer = weakref.finalize(self, self._kernels.ua_free_stack, self.handle)
        for index, layer in enumerate(layers):
            self._set_layer(index, layer, precision)
        self._set_vector(0, _FINAL_NORM, final_norm)
        if final_norm_bias is not None:
            self._set_vector(0, _FINAL_NORM_BIAS, final_norm_bias)
        self._asking = None
        if others is not None:
            self._asking = Asking(
                self.handle, others, dim=shape.dim, top_k=shape.top_k, rows_dtype=precision.rows_dtype
            )
        self.block_bytes = int(self._kernels.ua_block_bytes(self.handle))
        # Those that one row is multiplied with.
        self.num_weights = sum(_num_weights(layer, shape.top_k) for layer in layers)

    def give_away(self) -> int:
        """The handle, for an owner that frees it."""
        self._finalizer.detach()
        return self.handle

    def forward(
        self,
        embeddings: Tensor,
        sequences: NDArray[np.int32],
        positions: NDArray[np.int32],
        tables: NDArray[np.int64],
        is_audio: NDArray[np.uint8] | None = None,
    ) -> Tensor:
        """Hidden states `(N, dim)` after the final norm, for embeddings `(N, dim)` of packed rows.

        Raises what `OtherRanks` raises, where other ranks hold experts; blocks of these rows hold nothing then.

        Args:
            sequences: `(N,)`, each row's line in `tables`; a sequence's rows stand together, in order.
            positions: `(N,)`, each row's place in its sequence; all places before it are held.
            tables: `(num_sequences, width)`: addresses of blocks of `block_bytes`; place p lies in
                entry `p // 16 % width`.
            is_audio: `(N,)`, rows for the audio router.
        """
        rows = embeddings.float().contiguous()
        out = torch.empty_like(rows)
        if not rows.shape[0]:
            return out
        arguments = (
            self.handle,
            rows.shape[0],
            rows.data_ptr(),
            sequences.ctypes.data,
            positions.ctypes.data,
            tables.ctypes.data,
            tables.shape[1],
            None if is_audio is None else is_audio.ctypes.data,
            out.data_ptr(),
        )
        failed = on_threads(
            rows.shape[0] * self.num_weights,
            lambda threads: self._kernels.ua_forward(*arguments, threads),
        )
        if failed == _NO_ANSWER:
            assert self._asking is not None
            self._asking.raise_error()
        check(failed)
        return out

    def _set_layer(self, index: int, layer: LayerWeights, precision: Precision) -> None:
        for name, attribute in enumerate(_VECTORS):
            vector = getattr(layer, attribute)
            if vector is not None:
                self._set_vector(index, name, vector)
        for name, attribute in enumerate(_MATRICES):
            affine = getattr(layer, attribute)
            if affine is not None:
                # Which experts a row goes to must not hang on rounding.
                exact = Precision.FLOAT32 if attribute.endswith("router") else precision
                self._kernels.ua_set_matrix(self.handle, index, name, 0, _pack(affine, exact))
        for expert, (up, down) in enumerate(layer.experts, layer.first_expert):
            set_expert(self.handle, index, expert, up, down, precision)

    def _set_vector(self, layer: int, name: int, vector: Tensor) -> None:
        values = vector.detach().float().contiguous()
        check(self._kernels.ua_set_vector(self.handle, layer, name, values.data_ptr(), values.numel()))


def _num_weights(layer: LayerWeights, top_k: int) -> int:
    parts = [layer.query_key_value, layer.out, layer.up, layer.down, *sum(layer.experts[:top_k], ())]
    return sum(part.weight.numel() for part in parts if part is not None)


def half_split(weight: Tensor, head_dim: int) -> Tensor:
    """Rows of a projection, or of a vector over its heads, with interleaved rotary pairs half a head apart.

    Queries and keys reordered alike have the same products.
    """
    heads = weight.view(-1, head_dim // 2, 2, *weight.shape[1:])
    return heads.transpose(1, 2).reshape(weight.shape)


def set_expert(stack: int, layer: int, expert: int, up: Affine, down: Affine, precision: Precision) -> None:
    """Packs an expert into a stack of the kernels."""
    for name, affine in ((_EXPERT_UP, up), (_EXPERT_DOWN, down)):
        load_kernels().ua_set_matrix(stack, layer, name, expert, _pack(affine, precision))


def new_stack(shape: StackShape, precision: Precision) -> int:
    """The kernels' handle of a stack without weights; its owner frees it."""
    windows = (ctypes.c_int * shape.num_layers)(*(window or 0 for window in shape.windows))
    sizes = (ctypes.c_int * 11)(
        shape.dim,
        shape.num_heads,
        shape.num_kv_heads,
        shape.head_dim,
        shape.num_layers,
        shape.num_heads if shape.num_rotary_heads is None else shape.num_rotary_heads,
        shape.top_k,
        int(shape.normalize),
        shape.activation.value,
        shape.num_experts,
        int(precision is not Precision.FLOAT32),
    )
    frequencies = np.ascontiguousarray(shape.frequencies, dtype=np.float64)
    return _checked(load_kernels().ua_new_stack(sizes, windows, shape.eps, frequencies.ctypes.data))


def _pack(affine: Affine, precision: Precision) -> int:
    if precision is Precision.BFLOAT16 and affine.weight.shape[1] % 2:
        raise ValueError(f"bfloat16 kernels need an even number of inputs, not {affine.weight.shape[1]}")
    weight = affine.weight.detach().float().contiguous()
    bias = None if affine.bias is None else affine.bias.detach().float().contiguous()
    return _checked(
        load_kernels().ua_pack(
            precision.value,
            *weight.shape,
            int(affine.is_gated),
            weight.data_ptr(),
            None if bias is None else bias.data_ptr(),
        )
    )


def _checked(handle: int | None) -> int:
    if not handle:
        raise MemoryError("no memory for the packed weights")
    return handle


def check(code: int) -> None:
    """Raises MemoryError for a kernel's non-zero code."""
    if code:
        raise MemoryError("no memory for a step's working rows")
