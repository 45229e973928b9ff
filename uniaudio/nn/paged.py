"""Keys and values in blocks of one tensor, which torch's own operations read by index: what GPUs run.

A step of many sequences is a few tensors of fixed shapes, so that it can be a graph: no number is read back, and
nothing goes over sequences one by one. Sequences that bring one position, or one patch, are computed together;
a longer piece of a prompt is computed by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from uniaudio.nn.native.cache import PackedCache
from uniaudio.nn.native.pool import BLOCK_SIZE, BlockPool

_SCRAP = 0
"""The block that rows which only fill a batch up write to; it is never lent."""


@dataclass(frozen=True)
class PoolShape:
    """What each position takes: keys and values of so many heads in every layer."""

    num_layers: int
    num_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device

    @property
    def position_bytes(self) -> int:
        return 2 * self.num_layers * self.num_heads * self.head_dim * self.dtype.itemsize


class TensorPool(BlockPool):
    """Lends blocks by number. All memory is taken at once: a graph knows its addresses.

    `keys`, `values`: `(layers, slots, heads, head_dim)`, a slot being a position of a block.
    """

    def __init__(self, shape: PoolShape, max_positions: int) -> None:
        num_blocks = -(-max_positions // BLOCK_SIZE)
        super().__init__(shape.position_bytes * BLOCK_SIZE, num_blocks)
        slots = (num_blocks + 1) * BLOCK_SIZE
        size = (shape.num_layers, slots, shape.num_heads, shape.head_dim)
        self.keys = torch.zeros(size, dtype=shape.dtype, device=shape.device)
        self.values = torch.zeros_like(self.keys)
        self._unused = list(range(num_blocks, _SCRAP, -1))

    def _add_slab(self) -> None:
        self._free, self._unused = self._unused, self._free


@dataclass(frozen=True)
class PagedStep:
    """New positions of `S` sequences, `n` of each, over a pool.

    `slots` `(S * n,)`: where they are kept; `positions` `(S * n,)`: how many came before; `table` `(S, T)`: the
    slots of a sequence's positions in their order, more than there are.
    """

    pool: TensorPool
    slots: Tensor
    positions: Tensor
    table: Tensor

    def layer(self, index: int) -> PagedLayer:
        """What a layer's attention works with."""
        return PagedLayer(self, self.pool.keys[index], self.pool.values[index])


@dataclass(frozen=True)
class PagedLayer:
    """One layer's keys and values, `(slots, kv_heads, head_dim)`, in a step."""

    step: PagedStep
    keys: Tensor
    values: Tensor

    def attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Keeps the new keys and values, and attends to all up to each query; arguments as in `attention.attend`."""
        slots, table = self.step.slots, self.step.table
        self.keys.index_copy_(0, slots, keys.to(self.keys.dtype))
        self.values.index_copy_(0, slots, values.to(self.values.dtype))
        (count, width), num_kv = table.shape, keys.shape[1]
        group = queries.shape[1] // num_kv
        # Query heads that share keys become further queries, so that keys are not repeated.
        q = queries.view(count, -1, num_kv, group, queries.shape[2]).permute(0, 2, 3, 1, 4)
        new = q.shape[3]
        k, v = (
            held[table].transpose(1, 2).to(queries.dtype) for held in (self.keys, self.values)
        )  # (S, kv_heads, T, d)
        places = torch.arange(width, device=table.device)
        seen = places <= self.step.positions.view(count, 1, new, 1)
        mask = seen[:, :, None].expand(count, 1, group, new, width).reshape(count, 1, group * new, width)
        out = scaled_dot_product_attention(q.flatten(2, 3), k, v, attn_mask=mask)
        return out.view(q.shape).permute(0, 3, 1, 2, 4).reshape(queries.shape)


@dataclass(frozen=True)
class StepPlan:
    """A step as the host lays it out: `positions` `(S * n,)` and `blocks` `(S, T / 16)`."""

    positions: NDArray[np.int64]
    blocks: NDArray[np.int64]


def plan_step(caches: Sequence[PackedCache], count: int, num_rows: int, num_blocks: int) -> StepPlan:
    """Where `count` new positions of each sequence lie; up to `num_rows` rows and `num_blocks` blocks of nobody's."""
    blocks = np.full((num_rows, num_blocks), _SCRAP, np.int64)
    starts = np.zeros(num_rows, np.int64)
    for row, cache in enumerate(caches):
        blocks[row, : len(cache.blocks)] = cache.blocks
        starts[row] = cache.num_positions
    return StepPlan((starts[:, None] + np.arange(count)).ravel(), blocks)


def paged_step(pool: TensorPool, positions: Tensor, blocks: Tensor) -> PagedStep:
    """The step of a plan whose tensors lie on the pool's device."""
    count = len(blocks)
    offsets = torch.arange(BLOCK_SIZE, device=blocks.device)
    table = (blocks[:, :, None] * BLOCK_SIZE + offsets).flatten(1)
    slots = table.gather(1, positions.view(count, -1)).flatten()
    return PagedStep(pool, slots, positions, table)
