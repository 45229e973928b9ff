"""How a stack's kernels ask other ranks for their experts: calls from C++ back into Python."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from uniaudio.nn.held_experts import OtherRanks
from uniaudio.nn.native.library import load_kernels

_BEGIN = ctypes.CFUNCTYPE(
    ctypes.c_int,
    *(ctypes.c_int, ctypes.c_int),
    *(ctypes.c_void_p, ctypes.c_longlong),
    ctypes.c_void_p,
    *(ctypes.c_void_p, ctypes.c_longlong),
)
_END = ctypes.CFUNCTYPE(ctypes.c_int)


class Asking:
    """Passes a stack's questions on to other ranks, and keeps what went wrong until `raise_error`."""

    def __init__(
        self, stack: int, others: OtherRanks, *, dim: int, top_k: int, rows_dtype: torch.dtype
    ) -> None:
        self._others = others
        self._dim, self._top_k, self._dtype = dim, top_k, rows_dtype
        self._error: BaseException | None = None
        self._callbacks = (_BEGIN(self._begin), _END(self._end))  # the stack calls them as long as it lives
        load_kernels().ua_set_elsewhere(stack, *(ctypes.cast(c, ctypes.c_void_p) for c in self._callbacks))

    def raise_error(self) -> None:
        """Raises what ended the stack's last run early."""
        error, self._error = self._error, None
        assert error is not None
        raise error

    def _begin(
        self, layer: int, num_rows: int, x: int, x_stride: int, ids: int, results: int, results_stride: int
    ) -> int:
        num_results = num_rows * self._top_k
        try:
            self._others.begin(
                layer,
                _view(x, self._dtype, num_rows, self._dim, x_stride),
                _view(ids, torch.int32, num_rows, self._top_k, 4 * self._top_k),
                _view(results, torch.float32, num_results, self._dim, results_stride),
            )
        except BaseException as error:  # noqa: BLE001 - raised again where the kernels were called
            self._error = error
            return 1
        return 0

    def _end(self) -> int:
        try:
            self._others.end()
        except BaseException as error:  # noqa: BLE001 - raised again where the kernels were called
            self._error = error
            return 1
        return 0


def _view(address: int, dtype: torch.dtype, num_rows: int, width: int, stride: int) -> Tensor:
    """The kernels' own rows `(num_rows, width)`, `stride` bytes apart; valid while they run."""
    size = (num_rows - 1) * stride + width * dtype.itemsize
    memory = (ctypes.c_uint8 * size).from_address(address)
    numbers = torch.frombuffer(memory, dtype=dtype)
    return numbers.as_strided((num_rows, width), (stride // dtype.itemsize, 1))
