"""What goes from rank to rank: a header of three numbers, then expert ids and rows in one message."""

from __future__ import annotations

from enum import IntEnum

import torch
from torch import Tensor


class Kind(IntEnum):
    """What rank 0 wants: results of experts, or a sign of life."""

    EXPERTS = 0
    PULSE = 1


class Tag(IntEnum):
    """What a transfer carries."""

    HEADER = 0
    ROWS = 1
    RESULTS = 2


def header(kind: Kind, layer: int = 0, num_rows: int = 0) -> Tensor:
    """`(3,)`, on the host."""
    return torch.tensor([kind, layer, num_rows])


def pack_rows(x: Tensor, ids: Tensor) -> Tensor:
    """Bytes of ids `(N, k)` and rows `(N, dim)`, on the rows' device."""
    return torch.cat([_bytes(ids.to(torch.int32)), _bytes(x)])


def num_bytes(num_rows: int, top_k: int, dim: int, dtype: torch.dtype) -> int:
    """Size of what `pack_rows` makes."""
    return num_rows * (4 * top_k + dim * dtype.itemsize)


def unpack_rows(message: Tensor, top_k: int, dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The rows `(N, dim)` and the ids `(N, k)`, int32."""
    num_rows = len(message) // num_bytes(1, top_k, dim, dtype)
    ids, x = torch.split(message, [4 * top_k * num_rows, dim * dtype.itemsize * num_rows])
    return x.view(dtype).view(num_rows, dim), ids.view(torch.int32).view(num_rows, top_k)


def _bytes(values: Tensor) -> Tensor:
    return values.contiguous().view(torch.uint8).flatten()
