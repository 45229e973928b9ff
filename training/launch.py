"""`python -m training.launch [--nnodes N ...] -- <recipe> ...`: this machine's ranks of `training.train`.

Takes torchrun's options, and does what torchrun does not: it ends with the code that tells why. torchrun ends with 1
whatever happened, so that nothing outside could tell a refused configuration from a peer that was lost.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer

from training.exit_codes import AGAIN, DONE, FAILED, REFUSED, WRONG_USAGE
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.stack.stop_signals import StopRequested, StopSignals

HELP = """Start this machine's ranks of a run, and start them again where one of the group was lost.

Options are torchrun's; after "--" come the arguments of training.train. All machines of a run are started
alike. A refused configuration or wrong usage ends it at once. A signal goes on to the ranks, which save.

Exit codes: 0 done · 1 failed as often as --max-restarts allows · 2 wrong usage · 3 the configuration was
refused · 75 interrupted and saved: start it again to continue.
"""

_log = get_logger("training.launch")  # it runs as __main__


@dataclass(frozen=True, kw_only=True)
class LocalRanks:
    """The ranks of this machine among those of all machines; every machine has as many."""

    machines: int = 1
    machine: int = 0
    count: int = 1
    address: str = "127.0.0.1"
    port: int = 29500

    def environments(self) -> list[dict[str, str]]:
        """What torchrun would tell each rank."""
        return [
            {
                "RANK": str(self.machine * self.count + local),
                "LOCAL_RANK": str(local),
                "LOCAL_WORLD_SIZE": str(self.count),
                "WORLD_SIZE": str(self.machines * self.count),
                "MASTER_ADDR": self.address,
                "MASTER_PORT": str(self.port),
            }
            for local in range(self.count)
        ]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Seconds: between looks, before ranks start again, for ranks to save, and for ranks whose peer was lost.

    The last notice it in their next exchange; one that hangs in it is not waited for longer.
    """

    poll: float = 0.2
    restart: float = 5.0
    save: float = 120.0
    peer: float = 30.0


def launch(
    command: Sequence[str], ranks: LocalRanks, stop: StopSignals, patience: Patience, *, max_restarts: int
) -> int:
    """Runs `command` once a rank until all are done, or until starting them again is of no use; the exit code."""
    for num_restarts in range(max_restarts + 1):
        code = run_ranks(command, ranks, stop, patience)
        if code in (DONE, WRONG_USAGE, REFUSED):
            return code
        if stop.requested:
            return AGAIN
        _log.warning("ranks were lost", code=code, restarts=num_restarts, of=max_restarts)
        if _stopped_within(stop, patience.restart):
            return AGAIN
    return FAILED


def run_ranks(command: Sequence[str], ranks: LocalRanks, stop: StopSignals, patience: Patience) -> int:
    """Starts one process a rank and returns when all have ended: 0, or the code of the first that failed.

    Once one has failed or a stop is asked for, the others have a bounded time to end by themselves. A refusal
    counts before any other failure.
    """
    processes: list[subprocess.Popen[bytes]] = []
    first_failure, is_told, ends_at = DONE, False, math.inf
    try:
        # In groups of their own, so that Ctrl-C reaches a rank once, by us: a second signal ends it unsaved.
        processes.extend(
            subprocess.Popen(command, env={**os.environ, **environment}, process_group=0)
            for environment in ranks.environments()
        )
        while None in (codes := [process.poll() for process in processes]) and time.monotonic() < ends_at:
            first_failure = first_failure or _failure_of(codes)
            if stop.requested and not is_told:
                is_told, ends_at = True, time.monotonic() + patience.save
                for process in processes:
                    process.terminate()
            elif first_failure and ends_at == math.inf:
                # Ranks that stop together by agreement still store their last checkpoint.
                ends_at = time.monotonic() + (patience.save if first_failure == AGAIN else patience.peer)
            time.sleep(patience.poll)
    finally:
        for process in processes:
            process.kill()
    return _failure_of([first_failure, *[process.wait() for process in processes]])


def _stopped_within(stop: StopSignals, seconds: float) -> bool:
    """Whether a stop was asked for while waiting."""
    try:
        with stop.interruptible():
            time.sleep(seconds)
    except StopRequested:
        return True
    return False


def _failure_of(codes: Sequence[int | None]) -> int:
    """The code that says most: a refusal before a lost rank; 0 where none has failed."""
    failures = [code if code > 0 else 128 - code for code in codes if code]
    refusals = [code for code in failures if code in (WRONG_USAGE, REFUSED)]
    return next(iter([*refusals, *failures]), DONE)


def main(
    arguments: Annotated[list[str], typer.Argument(help="The recipe, and options of training.train.")],
    nnodes: Annotated[int, typer.Option(min=1, help="Machines.")] = 1,
    node_rank: Annotated[
        int, typer.Option(min=0, envvar="JOB_COMPLETION_INDEX", help="Which of them this one is.")
    ] = 0,
    nproc_per_node: Annotated[int, typer.Option(min=1, help="Ranks on each machine.")] = 1,
    master_addr: Annotated[str, typer.Option(help="Where the first machine is reached.")] = "127.0.0.1",
    master_port: Annotated[int, typer.Option(min=1, max=65535, help="Its port for the ranks.")] = 29500,
    max_restarts: Annotated[int, typer.Option(min=0, help="How often ranks may be lost.")] = 20,
    grace: Annotated[float, typer.Option(min=0, help="Seconds that saving may take after a signal.")] = 120.0,
) -> None:
    """The command; its help is `HELP`."""
    setup_logging("training")
    ranks = LocalRanks(
        machines=nnodes, machine=node_rank, count=nproc_per_node, address=master_addr, port=master_port
    )
    command = [sys.executable, "-m", "training.train", *arguments]
    with StopSignals() as stop:
        code = launch(command, ranks, stop, Patience(save=grace), max_restarts=max_restarts)
    raise typer.Exit(code)


app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
app.command(help=HELP, context_settings={"help_option_names": ["-h", "--help"]})(main)

if __name__ == "__main__":
    app()
