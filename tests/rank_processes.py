"""Ranks that hold experts, as processes that do what `python -m services.llm.rank` does."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch

from services.llm.loading import serve_rank
from services.llm.settings import LlmSettings, RankSettings
from services.llm.sign_of_life import SignOfLife
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.ranks.first import FirstRank
from uniaudio.engine.ranks.held import model_identity
from uniaudio.engine.ranks.link import RankGroup
from uniaudio.llm.config import LanguageModelConfig
from uniaudio.runtime.settings import read_settings

HOST = "127.0.0.1"


@dataclass
class RankProcesses:
    """Ranks 1 and up of a group on this machine; this process is rank 0."""

    checkpoint: Path
    count: int
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)
    running: dict[int, BaseProcess] = field(default_factory=dict)

    def start(self, rank: int) -> None:
        """Starts a rank."""
        environ = {
            "UNIAUDIO_MODEL_DIR": str(self.checkpoint),
            "UNIAUDIO_LLM_NUM_THREADS": "1",
            "RANK": str(rank),
            "WORLD_SIZE": str(self.count),
            "MASTER_ADDR": HOST,
            "MASTER_PORT": str(self.port),
            **self.environment,
        }
        # Forked from a process that has torch already: importing it takes longer than all else here.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["services.llm.loading"])
        self.running[rank] = context.Process(target=_serve, args=(environ,), daemon=True)
        self.running[rank].start()

    def send(self, rank: int, number: signal.Signals) -> None:
        """Sends a rank a signal."""
        pid = self.running[rank].pid
        assert pid is not None
        os.kill(pid, number)

    def end(self, rank: int) -> None:
        """Ends a rank as a power cut does."""
        process = self.running.pop(rank)
        process.kill()
        process.join(30)
        SignOfLife(RankSettings(rank=rank, count=self.count, port=self.port)).clear()


def _serve(environ: dict[str, str]) -> None:
    serve_rank(read_settings(LlmSettings, environ), read_settings(RankSettings, environ))


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
