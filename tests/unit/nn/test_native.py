"""The CPU kernels compute what the plain modules compute, for any shape, and never by company."""

from __future__ import annotations

import itertools

import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import linear

from uniaudio.errors import UnavailableError
from uniaudio.nn.native import packed
from uniaudio.nn.native.library import kernels_reason
from uniaudio.nn.native.packed import Activation, Affine, PackedMatrix, Precision
from uniaudio.nn.native.pool import BlockPool

pytestmark = pytest.mark.skipif(kernels_reason() is not None, reason=str(kernels_reason()))

# bfloat16 keeps 8 bits of a number, a byte 7 bits of a row's largest: of sums of 2 k terms of size 1.
TOLERANCE = {Precision.FLOAT32: 1e-5, Precision.BFLOAT16: 0.02, Precision.INT8: 0.03}


def rows_of(num_rows: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(num_rows, width, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(list(Precision)),
    st.integers(1, 40),
    st.integers(1, 100),
    st.integers(1, 50),
    st.booleans(),
)
def test_products_are_torchs(
    precision: Precision, num_rows: int, num_out: int, half_in: int, has_bias: bool
) -> None:
    x, weight = rows_of(num_rows, 2 * half_in), rows_of(num_out, 2 * half_in, 1)
    bias = rows_of(1, num_out, 2)[0] if has_bias else None
    got = PackedMatrix(Affine(weight, bias), precision)(x)
    expected = linear(x, weight, bias)
    allowed = TOLERANCE[precision] * (2 * half_in) ** 0.5 * 3
    assert (got - expected).abs().max() <= allowed


@pytest.mark.parametrize("precision", list(Precision))
def test_a_row_has_the_same_bits_alone_and_among_any_number(precision: Precision) -> None:
    x = rows_of(50, 96)
    matrix = PackedMatrix(Affine(rows_of(70, 96, 1)), precision)
    alone = torch.cat([matrix(row[None]) for row in x])
    for num_rows in (*range(1, 14), 24, 50):
        assert torch.equal(matrix(x[:num_rows]), alone[:num_rows])


def test_threads_stay_however_often_their_number_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.cycle((1, 2, 3))
    monkeypatch.setattr(packed, "on_threads", lambda _products, kernel: kernel(next(numbers)))
    matrix, x = PackedMatrix(Affine(rows_of(70, 96, 1)), Precision.FLOAT32), rows_of(4, 96)
    for _ in range(3):
        matrix(x)
    before = psutil.Process().num_threads()
    for _ in range(60):
        matrix(x)
    assert psutil.Process().num_threads() == before


def test_activations_are_torchs() -> None:
    x = torch.linspace(-12, 12, 4001)[:, None]
    one = PackedMatrix(Affine(torch.ones(1, 1)), Precision.FLOAT32)
    for activation, mode in ((Activation.GELU_ERF, "none"), (Activation.GELU_TANH, "tanh")):
        expected = torch.nn.functional.gelu(x, approximate=mode)
        torch.testing.assert_close(one(x, activation=activation), expected, atol=2e-6, rtol=1e-6)


def test_an_odd_number_of_inputs_is_refused_in_bfloat16() -> None:
    with pytest.raises(ValueError, match="even number of inputs"):
        PackedMatrix(Affine(torch.ones(4, 3)), Precision.BFLOAT16)


def test_a_pool_lends_up_to_its_limit_and_takes_back_what_nobody_holds() -> None:
    pool = BlockPool(64, max_blocks=3)
    held = pool.lend(2)
    with pytest.raises(UnavailableError, match="2 of 3 blocks are held, 2 more are needed"):
        pool.lend(2)
    pool.share(held)
    pool.release(held)
    assert pool.num_used == 2
    pool.release(held)
    assert pool.num_used == 0
    assert len(set(pool.lend(3))) == 3
