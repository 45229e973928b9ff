"""Tensors between rank 0 and another rank, every wait with its deadline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]  # documented, not re-exported

# A wait of 0 would mean the group's own deadline.
_LEAST_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class RankGroup:
    """One rank of a group and where rank 0 is; `timeout_seconds` is how long a rank may take to answer."""

    rank: int
    count: int
    host: str
    port: int
    timeout_seconds: float = 10.0


class LinkError(Exception):
    """A rank is gone or does not answer; no caller of this package sees it."""

    def __init__(self, rank: int, why: str) -> None:
        super().__init__(f"rank {rank} {why}")
        self.rank, self.why = rank, why


@dataclass(frozen=True)
class Transfer:
    """A tensor on its way to or from a rank; it must live until `Link.wait` returns."""

    rank: int
    tensor: Tensor
    work: dist.Work


class Link:
    """The connections of a group once formed: gloo, and NCCL for tensors on a GPU.

    Every call raises LinkError where the other side is gone or late; the link is of no use then.
    """

    def __init__(self, store: Store, group: RankGroup, address: str, device: torch.device) -> None:
        timeout = timedelta(seconds=group.timeout_seconds)
        options: Any = dist.ProcessGroupGloo._Options()  # type: ignore[attr-defined]  # the stub's name lacks the _
        options._timeout = timeout
        options._devices = [dist.ProcessGroupGloo.create_device(hostname=address)]
        self._backends: dict[str, Any] = {
            "cpu": dist.ProcessGroupGloo(PrefixStore("gloo", store), group.rank, group.count, options)
        }
        if device.type == "cuda":
            nccl = dist.ProcessGroupNCCL.Options()
            nccl._timeout = timeout
            self._backends["cuda"] = dist.ProcessGroupNCCL(
                PrefixStore("nccl", store), group.rank, group.count, nccl
            )

    def send(self, tensor: Tensor, rank: int, tag: int) -> Transfer:
        """Begins to send a contiguous tensor."""
        try:
            return Transfer(rank, tensor, self._backends[tensor.device.type].send([tensor], rank, tag))
        except RuntimeError as error:
            raise LinkError(rank, _why(error)) from error

    def receive(self, tensor: Tensor, rank: int, tag: int) -> Transfer:
        """Begins to fill a contiguous tensor."""
        try:
            return Transfer(rank, tensor, self._backends[tensor.device.type].recv([tensor], rank, tag))
        except RuntimeError as error:
            raise LinkError(rank, _why(error)) from error

    def wait(self, transfer: Transfer, seconds: float) -> Tensor:
        """The tensor, once it has come or gone."""
        try:
            transfer.work.wait(timedelta(seconds=max(seconds, _LEAST_SECONDS)))
        except RuntimeError as error:
            raise LinkError(transfer.rank, _why(error)) from error
        return transfer.tensor

    def close(self) -> None:
        """Breaks all connections, so that the other side knows."""
        for backend in self._backends.values():
            backend.abort()
        self._backends.clear()


def _why(error: RuntimeError) -> str:
    """What the transport's message comes to."""
    text = str(error)
    if "Timed out" in text or "timed out" in text or "timeout" in text:
        return "did not answer"
    if "closed" in text or "reset" in text or "Broken pipe" in text:
        return "is gone"
    return f"cannot be reached ({text.splitlines()[0][-200:]})"
