"""Rows and ids arrive at a rank as they were."""

from __future__ import annotations

import pytest
import torch

from uniaudio.engine.ranks import wire


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("num_rows", [1, 3])
def test_rows_and_ids_come_out_as_they_went_in(dtype: torch.dtype, num_rows: int) -> None:
    x = torch.randn(num_rows, 7, generator=torch.Generator().manual_seed(0)).to(dtype)
    ids = torch.arange(num_rows * 3).view(num_rows, 3)
    message = wire.pack_rows(x, ids)
    assert len(message) == wire.num_bytes(num_rows, 3, 7, dtype)
    rows, sent = wire.unpack_rows(message, 3, 7, dtype)
    assert torch.equal(rows, x)
    assert torch.equal(sent, ids.int())
    # Rows may lie apart in memory, as the kernels' do.
    wide = torch.zeros(num_rows, 16, dtype=dtype)
    wide[:, :7] = x
    assert torch.equal(wire.pack_rows(wide[:, :7], ids), message)


def test_a_header_says_what_is_wanted() -> None:
    assert wire.header(wire.Kind.EXPERTS, layer=4, num_rows=9).tolist() == [wire.Kind.EXPERTS, 4, 9]
