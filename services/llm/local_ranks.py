"""The ranks that hold experts for rank 0 on the same machine: started, watched and ended with the service."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.llm.restart_budget import RestartBudget
from services.llm.settings import LlmSettings, RankSettings
from services.llm.sign_of_life import SignOfLife
from uniaudio.errors import RankLostError, StartupError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.ports import free_port
from uniaudio.runtime.settings import read_settings

log = get_logger(__name__)

_HOST = "127.0.0.1"


@dataclass
class _Rank:
    """One rank's process, or when the next is due."""

    process: asyncio.subprocess.Process | None = None
    started_at: float = 0.0
    due_at: float = 0.0


class LocalRanks:
    """Ranks 1 and up of `settings.num_ranks`; none where that is 1."""

    def __init__(self, settings: LlmSettings, environ: Mapping[str, str]) -> None:
        if settings.num_ranks > 1 and environ.get("WORLD_SIZE", "1") != "1":
            raise StartupError(
                f"UNIAUDIO_LLM_RANKS={settings.num_ranks} starts ranks here, WORLD_SIZE={environ['WORLD_SIZE']} says "
                "that they are started elsewhere; set one of the two",
                reason="INVALID_SETTING",
                value=environ["WORLD_SIZE"],
            )
        self._settings, self._environ = settings, environ
        self._port = free_port(_HOST) if settings.num_ranks > 1 else 0
        self._ranks = {rank: _Rank() for rank in range(1, settings.num_ranks)}
        self._budget = RestartBudget("a rank", settings.max_restarts)

    def environment(self, rank: int = 0) -> dict[str, str]:
        """What a rank finds the others by; nothing where there is one rank."""
        settings, count = self._settings, self._settings.num_ranks
        if count == 1:
            return {}
        found = {
            "RANK": str(rank),
            "WORLD_SIZE": str(count),
            "MASTER_ADDR": _HOST,
            "MASTER_PORT": str(self._port),
            "UNIAUDIO_MODEL_DIR": str(settings.model_dir.resolve()),
            # Torch's store writes a C++ stack trace whenever rank 0 leaves.
            "TORCH_CPP_LOG_LEVEL": self._environ.get("TORCH_CPP_LOG_LEVEL", "ERROR"),
        }
        if not settings.num_threads:
            found["UNIAUDIO_LLM_NUM_THREADS"] = str(max(1, len(os.sched_getaffinity(0)) // count))
        if settings.device.startswith("cuda"):
            found["UNIAUDIO_LLM_DEVICE"] = f"cuda:{rank}"
        return found

    async def tend(self) -> None:
        """Starts what does not run and is due. StartupError where a rank ends too often."""
        for number, rank in self._ranks.items():
            if rank.process is not None and rank.process.returncode is not None:
                cause = f"rank {number} ended with code {rank.process.returncode}"
                rank.due_at = time.monotonic() + self._budget.take(cause)
                rank.process = None
                log.error("a rank is started again", rank=number, cause=cause)
            if rank.process is None and time.monotonic() >= rank.due_at:
                rank.process, rank.started_at = await self._start(number), time.monotonic()

    def end_stuck(self, loss: RankLostError, asked_at: float) -> None:
        """Kills the rank that a loss names, unless it was started after the loss and is still on its way.

        `asked_at`: when rank 0 was asked, by the monotonic clock.
        """
        rank = self._ranks.get(int(loss.metadata["rank"]))
        lost_at = asked_at - float(
            loss.metadata.get("lost_for_seconds", math.inf)
        )  # or up to an answer's way later
        if rank is not None and rank.process is not None and rank.started_at < lost_at:
            log.error("a rank that does not answer is killed", cause=loss.message)
            _kill(rank.process)

    async def stop(self) -> None:
        """Ends all at once: they remember nothing."""
        running = [rank.process for rank in self._ranks.values() if rank.process is not None]
        for process in running:
            _kill(process)
        for process in running:
            await process.wait()
        for number, rank in self._ranks.items():
            rank.process = None
            SignOfLife(read_settings(RankSettings, self.environment(number))).clear()

    async def _start(self, rank: int) -> asyncio.subprocess.Process:
        child = Path(__file__).with_name("bound_child.py")
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-E", str(child)),
            *(sys.executable, "-m", "services.llm.rank"),
            env={**self._environ, **self.environment(rank)},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
