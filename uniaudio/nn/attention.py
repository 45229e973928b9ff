"""Causal attention over packed sequences, with caches that the caller holds.

Packed means: the new positions of all sequences lie one after the other in `(N, heads, head_dim)`
and `lengths` says how many belong to each. One prompt, a batch of single steps and any mixture of
both are then the same call, and no padding or mask of the caller's can be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from uniaudio.nn.paged import PagedLayer, PagedStep

_QUERY_BLOCK = 256


@dataclass
class LayerCache:
    """Keys and values of one layer of one sequence, `(heads, capacity, head_dim)`, grown by doubling."""

    keys: Tensor | None = None
    values: Tensor | None = None
    length: int = 0

    def append(self, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Adds `(heads, n, head_dim)` and returns everything held, `(heads, length, head_dim)`."""
        end = self.length + keys.shape[1]
        self.keys = _reserve(self.keys, keys, self.length, end)
        self.values = _reserve(self.values, values, self.length, end)
        self.keys[:, self.length : end] = keys
        self.values[:, self.length : end] = values
        self.length = end
        return self.keys[:, :end], self.values[:, :end]

    def keep_last(self, count: int) -> None:
        """Forgets all but the last `count` positions, so that a windowed stream stays bounded."""
        if self.keys is None or self.values is None or self.length <= count:
            return
        start = self.length - count
        self.keys = self.keys[:, start : self.length].clone()
        self.values = self.values[:, start : self.length].clone()
        self.length = count


@dataclass
class SequenceCache:
    """What a stack of layers remembers of one sequence; `num_positions` counts all it ever saw."""

    layers: list[LayerCache] = field(default_factory=list)
    num_positions: int = 0

    @classmethod
    def empty(cls, num_layers: int) -> SequenceCache:
        return cls([LayerCache() for _ in range(num_layers)])


Caches = Sequence[SequenceCache] | PagedStep | None
"""What a stack continues: a cache for each sequence, a step over a pool, or nothing."""
LayerCaches = Sequence[LayerCache] | PagedLayer | None
"""The part of it that one layer continues."""


def caches_of_layer(caches: Caches, index: int) -> LayerCaches:
    """What layer `index` continues."""
    if caches is None:
        return None
    if isinstance(caches, PagedStep):
        return caches.layer(index)
    return [cache.layers[index] for cache in caches]


def count_positions(caches: Caches, lengths: Sequence[int]) -> None:
    """Counts what a stack has read; who lends a pool's blocks counts for itself."""
    if caches is None or isinstance(caches, PagedStep):
        return
    for cache, length in zip(caches, lengths, strict=True):
        cache.num_positions += length


def packed_positions(lengths: Sequence[int], caches: Caches, device: torch.device) -> Tensor:
    """Absolute positions `(N,)` of the packed new positions: each sequence continues its cache."""
    if isinstance(caches, PagedStep):
        return caches.positions
    starts = [cache.num_positions for cache in caches] if caches is not None else [0] * len(lengths)
    spans = [
        torch.arange(start, start + length, device=device)
        for start, length in zip(starts, lengths, strict=True)
    ]
    return torch.cat(spans)


def attend(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    lengths: Sequence[int],
    caches: LayerCaches = None,
    window_keys: int | None = None,
) -> Tensor:
    """Attention output `(N, heads, head_dim)` for packed, already rotated queries.

    Args:
        queries: `(N, heads, head_dim)`.
        keys, values: `(N, kv_heads, head_dim)`; each kv head serves `heads / kv_heads` query heads.
        lengths: new positions of each sequence; they sum to N.
        caches: one per sequence, extended in place, or a layer of a pool, which knows no window; None attends within
            the new positions alone.
        window_keys: keys that a query sees, itself included; None sees the whole past.
    """
    if isinstance(caches, PagedLayer):
        return caches.attend(queries, keys, values)
    if caches is None and queries.requires_grad:
        return attend_padded(queries, keys, values, lengths, window_keys)
    out = torch.empty_like(queries)
    start = 0
    for index, length in enumerate(lengths):
        if length == 0:
            continue
        span = slice(start, start + length)
        k, v = keys[span].transpose(0, 1), values[span].transpose(0, 1)
        if caches is not None:
            k, v = caches[index].append(k, v)
            k, v = k.to(queries.dtype), v.to(queries.dtype)
        q = queries[span].transpose(0, 1)
        out[span] = _attend_one(q, k, v, window_keys).transpose(0, 1)
        if caches is not None and window_keys is not None:
            caches[index].keep_last(window_keys - 1)
        start += length
    return out


def attend_padded(
    queries: Tensor, keys: Tensor, values: Tensor, lengths: Sequence[int], window_keys: int | None = None
) -> Tensor:
    """What `attend` gives without caches, by one masked softmax over all sequences: for training.

    Memory grows with the square of the longest sequence, and its backward pass is several times faster
    on a CPU than the fused kernel's, which in bfloat16 has no vectorised one.
    """
    device, longest = queries.device, max(lengths)
    rows = None
    if any(length != longest for length in lengths):
        counts = torch.tensor(list(lengths), device=device)
        rows = torch.nonzero(torch.arange(longest, device=device) < counts[:, None])
    q, k, v = (_pad(x, rows, len(lengths), longest).transpose(1, 2) for x in (queries, keys, values))
    if q.shape[1] != k.shape[1]:
        k, v = (x.repeat_interleave(q.shape[1] // x.shape[1], 1) for x in (k, v))
    distance = torch.arange(longest, device=device)[:, None] - torch.arange(longest, device=device)
    hidden = distance < 0 if window_keys is None else (distance < 0) | (distance >= window_keys)
    out = plain_attention(q, k, v, hidden).transpose(1, 2)
    return out.flatten(0, 1) if rows is None else out[rows[:, 0], rows[:, 1]]


def plain_attention(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None = None) -> Tensor:
    """softmax(q k' / sqrt(d)) v over `(..., n, d)`, softmax in float32; `hidden` keys are not seen."""
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5
    if hidden is not None:
        scores = scores.masked_fill(hidden, -torch.inf)
    out: Tensor = scores.softmax(-1).to(v.dtype) @ v
    return out


def _pad(x: Tensor, rows: Tensor | None, num_sequences: int, longest: int) -> Tensor:
    """Packed `(N, heads, d)` as `(num_sequences, longest, heads, d)`, zeros after each sequence's end."""
    if rows is None:
        return x.view(num_sequences, longest, *x.shape[1:])
    return x.new_zeros(num_sequences, longest, *x.shape[1:]).index_put((rows[:, 0], rows[:, 1]), x)


def _attend_one(q: Tensor, k: Tensor, v: Tensor, window_keys: int | None) -> Tensor:
    """One sequence: `q` `(heads, n, d)` are the last n of the m positions in `k`, `(kv_heads, m, d)`.

    Queries go in blocks, each with the keys it can see, so that no mask grows with the square of
    the length and a window costs what it spans.
    """
    num_new, past = q.shape[1], k.shape[1] - q.shape[1]
    if past == 0 and (window_keys is None or num_new <= window_keys):
        return _attend_block(q, k, v, None, is_causal=num_new > 1)
    pieces = []
    for start in range(0, num_new, _QUERY_BLOCK):
        end = min(start + _QUERY_BLOCK, num_new)
        first = 0 if window_keys is None else max(0, past + start - window_keys + 1)
        keys = slice(first, past + end)
        mask = None
        # A single new position sees all the keys of its slice, so it needs no mask.
        if end - start > 1:
            distance = torch.arange(past + start, past + end, device=q.device)[:, None] - torch.arange(
                first, past + end, device=q.device
            )
            mask = distance >= 0
            if window_keys is not None:
                mask &= distance < window_keys
        pieces.append(_attend_block(q[:, start:end], k[:, keys], v[:, keys], mask))
    return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=1)


def _attend_block(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, is_causal: bool = False) -> Tensor:
    grouped = q.shape[0] != k.shape[0]
    return scaled_dot_product_attention(
        q[None], k[None], v[None], attn_mask=mask, is_causal=is_causal, enable_gqa=grouped
    )[0]


def _reserve(buffer: Tensor | None, like: Tensor, used: int, needed: int) -> Tensor:
    if buffer is not None and buffer.shape[1] >= needed:
        return buffer
    grown = like.new_empty(like.shape[0], max(needed, 2 * used), like.shape[2])
    if buffer is not None:
        grown[:, :used] = buffer[:, :used]
    return grown
