"""The ranks of a run: joining them, and the few things that all of them must agree on.

torchrun starts the ranks and tells each by the environment (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR,
MASTER_PORT). Without these a run has one rank and nothing here reaches for a network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from uniaudio.errors import StartupError, UnavailableError

T = TypeVar("T")
TIMEOUT = timedelta(minutes=30)
"""How long a rank waits for the others: an evaluation or a slow checkpoint of one holds all."""
MAKING = timedelta(hours=48)
"""How long the others wait while the first rank speaks a corpus or encodes recordings."""


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """This process among the ranks of a run."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    patient: dist.ProcessGroup | None = None  # all of them, whose waits last longer

    @property
    def is_first(self) -> bool:
        """Whether this rank logs, evaluates and commits for all."""
        return self.rank == 0

    @property
    def machine(self) -> int:
        """A number that the ranks of one machine share: the rank of its first."""
        return self.rank - self.local_rank

    def any_of(self, *flags: bool) -> tuple[bool, ...]:
        """Each flag, true on every rank when it is true on any."""
        if self.count == 1:
            return flags
        votes = torch.tensor([float(flag) for flag in flags])
        dist.all_reduce(votes, dist.ReduceOp.MAX)
        return tuple(vote > 0 for vote in votes.tolist())

    def gather(self, value: T) -> list[T]:
        """Every rank's value, in order of rank."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def first(self, value: T) -> T:
        """The value of the first rank."""
        if self.count == 1:
            return value
        values: list[Any] = [value]
        dist.broadcast_object_list(values, src=0)
        first: T = values[0]
        return first

    def wait(self) -> None:
        """Returns when every rank has come here."""
        self.any_of(False)

    def wait_for_making(self) -> None:
        """The same, where one rank comes after it has made the data of all."""
        if self.patient is not None:
            dist.barrier(group=self.patient)


@contextmanager
def joined_ranks(environ: Mapping[str, str] | None = None) -> Iterator[Ranks]:
    """The ranks that torchrun started, or the only one; leaves the group at the end.

    Raises UnavailableError where the ranks do not find each other, and StartupError where a rank has no GPU of
    its own while the machine has some.
    """
    environ = os.environ if environ is None else environ
    count, rank, local_rank = (
        int(environ.get(name, default))
        for name, default in (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
    )
    ranks = Ranks(rank=rank, count=count, local_rank=local_rank, device=_device(local_rank))
    if count == 1:
        yield ranks
        return
    # Votes and objects travel as CPU tensors by gloo, so that agreeing never waits for the GPU's queue.
    backend = "cpu:gloo,cuda:nccl" if ranks.device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=TIMEOUT, device_id=_own_gpu(ranks.device))
    except (dist.DistError, ValueError, RuntimeError) as error:
        raise UnavailableError(
            f"rank {rank} of {count} could not join the others at {environ.get('MASTER_ADDR')}:"
            f"{environ.get('MASTER_PORT')} within {TIMEOUT}: {error}; start all ranks with torchrun"
        ) from error
    try:
        yield replace(ranks, patient=_patient_group())
    finally:
        dist.destroy_process_group()


def sum_over_ranks(value: Tensor) -> Tensor:
    """The sum of every rank's `value`, the same everywhere: for what a stage counts over its shares."""
    if not dist.is_initialized():
        return value
    total = value.detach().clone()
    dist.all_reduce(total)
    return total


def _patient_group() -> dist.ProcessGroup:
    group = dist.new_group(backend="gloo", timeout=MAKING)
    assert isinstance(group, dist.ProcessGroup)
    return group


def _device(local_rank: int) -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    num_gpus = torch.cuda.device_count()
    if local_rank >= num_gpus:
        raise StartupError(
            f"local rank {local_rank} needs a GPU of its own and this machine has {num_gpus}; "
            f"start torchrun with --nproc-per-node {num_gpus}"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def _own_gpu(device: torch.device) -> torch.device | None:
    return device if device.type == "cuda" else None
