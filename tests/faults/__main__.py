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

from tests.faults.faults import FAULTS, Fault
from tests.faults.house import House
from tests.faults.pace import LONG, SHORT, Pace
from tests.faults.rounds import Round, play
from tests.faults.table import row, write

_PAGE = Path(__file__).resolve().parents[2] / "docs" / "faults.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where every promise was kept."""
    wanted = _parser().parse_args(arguments)
    pace = replace(SHORT if wanted.short else LONG, **_given(wanted))
    faults = [fault for fault in FAULTS if not wanted.only or fault.name in wanted.only]
    rounds = asyncio.run(_play_all(faults, pace, wanted.seed, wanted.logs))
    if wanted.write:
        write(_PAGE, rounds, pace, wanted.seed)
    return 1 if any(shown.verdict.broken for shown in rounds) else 0


async def _play_all(faults: Sequence[Fault], pace: Pace, seed: int, logs: Path | None) -> list[Round]:
    rounds: list[Round] = []
    with TemporaryDirectory(prefix="uniaudio-faults-") as temporary:
        folder = logs or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with House(folder, pace).running() as house:
            for fault in faults:
                rounds.append(await play(house, [fault], random.Random(f"{seed} {fault.name}")))
                _say(row(rounds[-1]))
                for promise in rounds[-1].verdict.broken:
                    _say(f"  BROKEN: {promise}")
    return rounds


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
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=[fault.name for fault in FAULTS], metavar="FAULT")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 2**32))
    parser.add_argument("--short", action="store_true", help="as in `make test`: seconds instead of a minute")
    parser.add_argument("--away-seconds", type=float, help="how long neighbours stay away")
    parser.add_argument("--lease-seconds", type=float)
    parser.add_argument("--times", type=int, help="how often a process is killed")
    parser.add_argument("--num-customers", type=int)
    parser.add_argument("--logs", type=Path, help="folder that keeps what the processes said")
    parser.add_argument("--write", action="store_true", help="write docs/faults.md")
    return parser


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.exit(main())
