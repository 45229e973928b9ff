"""What a packed stack remembers of one sequence: blocks of a pool, given back when the cache is dropped."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniaudio.nn.native.packed import PackedStack
from uniaudio.nn.native.pool import BLOCK_SIZE, BlockPool

# New positions that a windowed sequence may bring at once; longer input goes in pieces.
PIECE = 256


class PackedCache:
    """Blocks that hold a sequence's positions. With a window, they form a ring and are used again."""

    def __init__(self, pool: BlockPool, window_keys: int | None = None) -> None:
        self.num_positions = 0
        self.blocks: list[int] = []
        self._pool = pool
        self._ring = -(-(window_keys + PIECE) // BLOCK_SIZE) + 1 if window_keys else None
        self._finalizer = weakref.finalize(self, pool.release, self.blocks)

    def reserve(self, count: int) -> None:
        """Holds blocks for `count` more positions; UnavailableError when the pool has none left."""
        needed = -(-(self.num_positions + count) // BLOCK_SIZE)
        if self._ring is not None:
            needed = min(needed, self._ring)
        if needed > len(self.blocks):
            self.blocks += self._pool.lend(needed - len(self.blocks))

    def adopt(self, blocks: list[int]) -> None:
        """Begins with whole blocks that another cache has filled; this one must be empty."""
        assert not self.blocks
        self._pool.share(blocks)
        self.blocks += blocks
        self.num_positions = len(blocks) * BLOCK_SIZE

    def close(self) -> None:
        """Gives the blocks back now; the cache must not be used again."""
        self._finalizer()
        self.blocks.clear()

    @property
    def width(self) -> int:
        """Entries of this sequence's table; a ring's must be whole to count modulo it."""
        return len(self.blocks) if self._ring is None else self._ring


def run_stack(
    stack: PackedStack,
    embeddings: Tensor,
    lengths: Sequence[int],
    caches: Sequence[PackedCache],
    is_audio: Tensor | None = None,
) -> Tensor:
    """Hidden states `(N, dim)`; every sequence continues its cache, which is extended.

    Blocks for all are taken before anything is computed: when the pool is exhausted, no cache moves.
    """
    if stack.shape.max_window is not None and max(lengths, default=0) > PIECE:
        return _run_in_pieces(stack, embeddings, lengths, caches)
    for cache, length in zip(caches, lengths, strict=True):
        cache.reserve(length)
    counts = np.asarray(lengths, dtype=np.int32)
    starts = np.asarray([cache.num_positions for cache in caches], dtype=np.int32)
    sequences = np.repeat(np.arange(len(caches), dtype=np.int32), counts)
    within = np.arange(counts.sum(), dtype=np.int32) - np.repeat(
        np.cumsum(counts, dtype=np.int32) - counts, counts
    )
    positions = np.repeat(starts, counts) + within
    audio = None if is_audio is None else is_audio.to("cpu", torch.uint8).contiguous().numpy()
    hidden = stack.forward(embeddings, sequences, positions, _tables(caches), audio)
    for cache, length in zip(caches, lengths, strict=True):
        cache.num_positions += length
    return hidden


def _tables(caches: Sequence[PackedCache]) -> NDArray[np.int64]:
    tables = np.zeros((len(caches), max((cache.width for cache in caches), default=1) or 1), dtype=np.int64)
    for row, cache in zip(tables, caches, strict=True):
        row[: len(cache.blocks)] = cache.blocks
    return tables


def _run_in_pieces(
    stack: PackedStack, embeddings: Tensor, lengths: Sequence[int], caches: Sequence[PackedCache]
) -> Tensor:
    """The same by at most PIECE positions of a sequence at a time, so that its ring is wide enough."""
    out = []
    for part, cache in zip(torch.split(embeddings, list(lengths)), caches, strict=True):
        out += [run_stack(stack, piece, [len(piece)], [cache]) for piece in torch.split(part, PIECE)]
    return torch.cat(out)
