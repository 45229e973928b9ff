"""Ranks that hold experts, started as a person does: `python -m services.llm.rank`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch

from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.ranks.first import FirstRank
from uniaudio.engine.ranks.held import model_identity
from uniaudio.engine.ranks.link import RankGroup
from uniaudio.llm.config import LanguageModelConfig

HOST = "127.0.0.1"


@dataclass
class RankProcesses:
    """Ranks 1 and up of a group on this machine; this process is rank 0."""

    checkpoint: Path
    count: int
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    running: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, rank: int) -> None:
        """Starts a rank."""
        environ = {
            **os.environ,
            "UNIAUDIO_MODEL_DIR": str(self.checkpoint),
            "UNIAUDIO_LLM_NUM_THREADS": "1",
            "RANK": str(rank),
            "WORLD_SIZE": str(self.count),
            "MASTER_ADDR": HOST,
            "MASTER_PORT": str(self.port),
            **self.environment,
        }
        self.running[rank] = subprocess.Popen(
            [sys.executable, "-m", "services.llm.rank"], stdin=subprocess.DEVNULL, env=environ
        )

    def end(self, rank: int) -> None:
        """Ends a rank as a power cut does."""
        process = self.running.pop(rank)
        process.kill()
        process.wait(30)


@contextmanager
def started_ranks(
    checkpoint: Path,
    count: int,
    port: int,
    *,
    timeout_seconds: float = 30.0,
    identity: str | None = None,
    **environment: str,
) -> Iterator[tuple[FirstRank, RankProcesses]]:
    """Rank 0's side of a group that stands, and the processes of the others.

    `identity` is what rank 0 says of its model, where that is not the others'.
    """
    environment["UNIAUDIO_LLM_RANK_TIMEOUT_SECONDS"] = str(timeout_seconds)
    ranks = RankProcesses(checkpoint, count, port, environment)
    opened = Checkpoint(checkpoint)
    group = RankGroup(rank=0, count=count, host=HOST, port=port, timeout_seconds=timeout_seconds)
    cpu = torch.device("cpu")
    first = FirstRank(group, LanguageModelConfig.from_config(opened.config).num_experts, cpu)
    try:
        for rank in range(1, count):
            ranks.start(rank)
        precision = environment.get("UNIAUDIO_LLM_DTYPE", "float32")
        use_kernels = environment.get("UNIAUDIO_LLM_USE_KERNELS", "true") == "true"
        own = model_identity(opened, precision=precision, device=cpu, use_kernels=use_kernels)
        first.form(identity or own, seconds=120)
        yield first, ranks
    finally:
        first.close()
        for rank in list(ranks.running):
            ranks.end(rank)
