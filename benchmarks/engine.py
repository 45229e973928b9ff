"""How fast the engine runs a model on a CPU, beside the published procedure and beside the memory's limit.

    python -m benchmarks.engine --threads 2 --seconds 2              # a mid-sized model of random weights
    python -m benchmarks.engine --config some/config.json --table out.md

Every row is measured in turns with the published procedure in the same process, so that what else the
machine does falls on both; ratios are of medians. `--clock cpu` counts the time that one thread computes
instead of the time that passes: on a machine that is not idle, with `--threads 1`, ratios stay meaningful.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.engine_parts import Case, cases_of, load_models
from benchmarks.hardware import processor
from uniaudio.nn.native.threads import take_threads_from_torch
from uniaudio.random_model import write_random_checkpoint

AIMS = {
    ("text", 1): {"float32": 4, "bfloat16": 7, "int8": 12},
    ("speech", 1): {"float32": 4, "bfloat16": 7, "int8": 7},
    ("speech", 16): {"float32": 5, "bfloat16": 10},
    ("text", 16): {"float32": 15, "bfloat16": 25, "int8": 25},
    ("decode", 1): {"float32": 4, "bfloat16": 5},
    ("decode", 16): {"float32": 10, "bfloat16": 20},
}
UNITS = {"text": "tokens/s", "speech": "patches/s", "decode": "× real time"}
_IN_A_ROW = 3
_TORCH_SPINS = 0.02  # seconds after which torch's idle threads sleep


@dataclass
class Measured:
    """Seconds of single steps of one case, and the published procedure's beside them."""

    case: Case
    seconds: list[float] = field(default_factory=list)
    published: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return self.case.amount / statistics.median(self.seconds)

    @property
    def published_rate(self) -> float:
        return self.case.published_amount / statistics.median(self.published)


def measure(cases: list[Case], clock: Callable[[], float], seconds: float, threads: int) -> list[Measured]:
    """Steps of all cases and of what they are compared with, in turns, for so many seconds a case."""
    measured = [Measured(case) for case in cases]
    end = time.monotonic() + seconds * len(cases)
    while time.monotonic() < end or len(measured[0].seconds) < 2 * _IN_A_ROW:
        for each in measured:
            torch.set_num_threads(threads)
            _time(each.case.published, each.published, clock)
            torch.set_num_threads(1)
            time.sleep(_TORCH_SPINS)
            _time(each.case.step, each.seconds, clock)
    return measured


def _time(step: Callable[[], None], into: list[float], clock: Callable[[], float]) -> None:
    step()
    for _ in range(_IN_A_ROW):
        start = clock()
        step()
        into.append(clock() - start)


def bandwidth(clock: Callable[[], float]) -> float:
    """Bytes per second of reading a large tensor, the best of some readings."""
    memory = torch.ones(100_000_000)
    best = float("inf")
    for _ in range(5):
        start = clock()
        memory.sum()
        best = min(best, clock() - start)
    return memory.numel() * 4 / best


def lines(measured: list[Measured], bytes_per_second: float) -> Iterator[str]:
    """The table, a row per case."""
    yield "| what | streams | weights | rate | published | ratio | aim | limit | step p50 / p99 ms |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for each in measured:
        case = each.case
        ratio = each.rate / each.published_rate
        aim = AIMS.get((case.what, case.num_streams), {}).get(case.precision)
        verdict = "" if aim is None else f"≥ {aim}× {'met' if ratio >= aim else 'missed'}"
        limit = bytes_per_second / case.bytes_read * case.amount if case.bytes_read else None
        times = sorted(second * 1000 for second in each.seconds)
        yield (
            f"| {case.what} | {case.num_streams} | {case.precision} | {each.rate:.1f} {UNITS[case.what]} "
            f"| {each.published_rate:.1f} | **{ratio:.1f}×** | {verdict} "
            f"| {'' if limit is None else f'{limit:.0f}'} "
            f"| {statistics.median(times):.2f} / {times[min(int(len(times) * 0.99), len(times) - 1)]:.2f} |"
        )


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("engine_mid.json"))
    parser.add_argument("--checkpoint", type=Path, help="a checkpoint instead of random weights")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 16, 32])
    parser.add_argument("--precisions", nargs="+", default=["float32", "bfloat16", "int8"])
    what = ["text", "speech", "decode", "first_audio"]
    parser.add_argument("--what", nargs="+", choices=what, default=what)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each row")
    parser.add_argument("--table", type=Path, help="also write the table there")
    return parser.parse_args()


def run(options: argparse.Namespace, directory: Path) -> list[str]:
    """Measures and tells; the lines of the report."""
    clock = time.thread_time if options.clock == "cpu" else time.perf_counter
    torch.set_num_threads(options.threads)
    take_threads_from_torch()  # as the services do; the published procedure is given them back
    where = (
        f"{processor()}, {options.threads} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}"
    )
    told = [f"{where}, `python -m benchmarks.engine {' '.join(sys.argv[1:])}`", ""]
    models = load_models(directory, options.precisions)
    speed = bandwidth(clock)
    told += [f"Memory is read at {speed / 1e9:.1f} GB/s; the limit is what that allows.", ""]
    with torch.inference_mode():
        kinds = [what for what in options.what if what in UNITS]
        if cases := cases_of(models, kinds, options.streams):
            told += list(lines(measure(cases, clock, options.seconds, options.threads), speed))
        if "first_audio" in options.what:
            told += ["", *models.first_audio_lines()]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return [*told, "", f"Peak memory of this process, all models together: {peak:.1f} GiB."]


def main() -> None:
    """Makes or takes a checkpoint, measures, prints."""
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        directory = options.checkpoint or Path(folder)
        if options.checkpoint is None:
            config: dict[str, Any] = json.loads(options.config.read_text())
            write_random_checkpoint(directory, 4242, config=config)
        told = run(options, directory)
    print("\n".join(told))
    if options.table:
        options.table.write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
