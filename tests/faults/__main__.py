"""A round for every fault, and the table of what they showed: `python -m tests.faults`, or `make test-faults`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.faults.fault import Fault, PlaceT
from tests.faults.faults import FAULTS
from tests.faults.house import House
from tests.faults.pace import LONG, SHORT, Pace, on_the_stack
from tests.faults.real_stack import STACK_FAULTS, RealStack
from tests.faults.rounds import Round, play
from tests.faults.table import row, write

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every promise was kept."""
    wanted = _parser().parse_args(arguments)
    _say(f"seed {wanted.seed}")
    pace = replace(SHORT if wanted.short else LONG, **_given(wanted))
    with TemporaryDirectory(prefix="uniaudio-faults-") as temporary:
        rounds = asyncio.run(_play_all(wanted, pace, wanted.logs or Path(temporary)))
    shown = [each for each in rounds if each is not None]
    if wanted.write:
        write(_PAGE, shown, pace, wanted.seed)
    return 1 if len(shown) < len(rounds) or any(each.verdict.broken for each in shown) else 0


async def _play_all(wanted: argparse.Namespace, pace: Pace, folder: Path) -> list[Round | None]:
    def is_wanted(fault: Fault[Any]) -> bool:
        return not wanted.only or fault.name in wanted.only

    rounds: list[Round | None] = []
    if faults := list(filter(is_wanted, FAULTS)):
        (folder / "cluster").mkdir(parents=True)
        with House(folder / "cluster", pace).running() as house:
            rounds += [await _play(house, fault, wanted.seed) for fault in faults]
    if stack_faults := list(filter(is_wanted, STACK_FAULTS)):
        (folder / "stack").mkdir(parents=True)
        with RealStack(
            folder / "stack", on_the_stack(pace), "--tokenizer-backend", wanted.tokenizer_backend
        ).running() as stack:
            rounds += [await _play(stack, fault, wanted.seed) for fault in stack_faults]
    return rounds


async def _play(place: PlaceT, fault: Fault[PlaceT], seed: int) -> Round | None:
    """What the fault showed; None where nothing ended any more, so that the others are tried all the same."""
    try:
        shown = await play(place, [fault], random.Random(f"{seed} {fault.name}"))
    except TimeoutError:
        _say(f"{fault.name}\n  BROKEN: nothing was served again within {place.pace.patience_seconds:g} s")
        return None
    _say(row(shown))
    for promise in shown.verdict.broken:
        _say(f"  BROKEN: {promise}")
    return shown


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _given(wanted: argparse.Namespace) -> dict[str, float]:
    return {
        name: value
        for name in ("away_seconds", "lease_seconds", "times", "num_customers")
        if (value := getattr(wanted, name)) is not None
    }


def _parser() -> argparse.ArgumentParser:
    names = [fault.name for fault in (*FAULTS, *STACK_FAULTS)]
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=names, metavar="FAULT")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**32))
    parser.add_argument("--short", action="store_true", help="as in `make test`: seconds instead of a minute")
    parser.add_argument("--away-seconds", type=float, help="how long neighbours stay away")
    parser.add_argument("--lease-seconds", type=float)
    parser.add_argument("--times", type=int, help="how often a process is killed")
    parser.add_argument("--num-customers", type=int)
    parser.add_argument("--logs", type=Path, help="folder that keeps what the processes said")
    parser.add_argument("--tokenizer-backend", default="ray", help="of the stack whose processes are killed")
    parser.add_argument("--write", action="store_true", help="write docs/faults.md")
    return parser


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
