"""Calls that a GPU replays as they were recorded: one launch instead of a thousand."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Recorded:
    graph: torch.cuda.CUDAGraph
    inputs: tuple[Tensor, ...]
    output: Tensor


class GraphedCall:
    """A function of tensors on a GPU, recorded once for each `key`, which stands for all their shapes.

    It must give one tensor and read nothing back. What it gives is overwritten by any later call. On other devices,
    with `records` false, and where recording fails, which the log tells, it is called as it is.
    """

    def __init__(self, function: Callable[..., Tensor], *, records: bool = True) -> None:
        self._function, self._records = function, records
        self._recorded: dict[Hashable, _Recorded] = {}
        self._memory: Any = None

    @torch.no_grad()
    def __call__(self, key: Hashable, *inputs: Tensor) -> Tensor:
        """The function's result for `inputs`, of which all of one key have the same shapes and types."""
        if not self._records or inputs[0].device.type != "cuda":
            return self._function(*inputs)
        if key not in self._recorded:
            try:
                self._recorded[key] = self._record(inputs)
            except (
                RuntimeError
            ) as error:  # a product that this GPU and type have no kernel for reads numbers back
                logger.warning("a step cannot be recorded here and runs several times slower: %s", error)
                self._records = False
                return self._function(*inputs)
        recorded = self._recorded[key]
        for kept, given in zip(recorded.inputs, inputs, strict=True):
            kept.copy_(given)
        recorded.graph.replay()
        return recorded.output

    def _record(self, inputs: tuple[Tensor, ...]) -> _Recorded:
        kept = tuple(given.clone() for given in inputs)
        # What libraries set up at first use must not be recorded: a run before, on a stream of its own.
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            self._function(*kept)
        torch.cuda.current_stream().wait_stream(aside)
        if self._memory is None:  # all graphs work in the same memory, one after the other
            self._memory = torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._memory, capture_error_mode="thread_local"):
            output = self._function(*kept)
        return _Recorded(graph, kept, output)
