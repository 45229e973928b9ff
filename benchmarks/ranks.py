"""What it costs that experts lie on other ranks: text steps of one process, and of several on this machine.

    python -m benchmarks.ranks --ranks 2 4 --streams 1 8 16

Every number of ranks is measured in turns with one rank in the same process, so that what else the machine does
falls on both. On one machine ranks share its memory and its cores, so they can only lose; what a row shows is the
price of asking: `exchange` is the time that rank 0 spends in it, waiting for the others included.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.engine_parts import text_step
from benchmarks.hardware import processor
from tests.rank_processes import started_ranks
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.nn.held_experts import ExpertShare, OtherRanks, places_of
from uniaudio.nn.native.packed import Precision
from uniaudio.random_model import write_random_checkpoint
from uniaudio.runtime.ports import free_port


@dataclass
class Watched:
    """Other ranks, with the time and the bytes that go there and back."""

    others: OtherRanks
    held: range
    num_others: int
    seconds: float = 0.0
    num_bytes: int = 0

    def begin(self, layer: int, x: Tensor, ids: Tensor, results: Tensor) -> None:
        """See `OtherRanks`."""
        start = time.perf_counter()
        self.others.begin(layer, x, ids, results)
        self.seconds += time.perf_counter() - start
        elsewhere = ids.numel() - len(places_of(self.held, ids))
        self.num_bytes += elsewhere * x.shape[1] * results.element_size()
        self.num_bytes += self.num_others * (x.numel() * x.element_size() + ids.numel() * 4)

    def end(self) -> None:
        """See `OtherRanks`."""
        start = time.perf_counter()
        self.others.end()
        self.seconds += time.perf_counter() - start


def load(directory: Path, precision: Precision, share: ExpertShare | None = None) -> PackedSpeechModel:
    """The model as the engine runs it."""
    dtype = torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32
    model = SpeechModel.from_checkpoint(Checkpoint(directory), dtype=dtype, share=share)
    return PackedSpeechModel.pack(model, precision)


def compare(
    alone: Callable[[], None], spread: Callable[[], None], seconds: float
) -> tuple[list[float], list[float]]:
    """Seconds of steps of both, in turns."""
    taken: tuple[list[float], list[float]] = ([], [])
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(taken[0]) < 3:
        for step, into in zip((alone, spread), taken, strict=True):
            start = time.perf_counter()
            step()
            into.append(time.perf_counter() - start)
    return taken


def rows(directory: Path, count: int, options: argparse.Namespace) -> list[str]:
    """The table's rows of one number of ranks."""
    precision = Precision[options.precision.upper()]
    one = load(directory, precision)
    out = []
    with started_ranks(directory, count, free_port(), UNIAUDIO_LLM_DTYPE=options.precision) as (first, _):
        watched = Watched(first, first.share.held, count - 1)
        several = load(directory, precision, ExpertShare(first.share.held, watched))
        for streams in options.streams:
            torch.manual_seed(0)
            alone = text_step(one, streams)
            torch.manual_seed(0)
            spread = text_step(several, streams)
            watched.seconds = watched.num_bytes = 0
            times = compare(alone, spread, options.seconds)
            num_steps = len(times[1])
            one_ms, several_ms = (1000 * statistics.median(each) for each in times)
            exchange_ms = 1000 * watched.seconds / num_steps
            kib = watched.num_bytes / num_steps / (count - 1) / 1024
            out.append(
                f"| {count} | {streams} | {one_ms:.2f} | {several_ms:.2f} | {exchange_ms:.2f} | {kib:.0f} |"
            )
    return out


def main() -> None:
    """Makes a checkpoint, measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("engine_mid.json"))
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 16])
    parser.add_argument("--precision", default="bfloat16", choices=("float32", "bfloat16", "int8"))
    parser.add_argument("--seconds", type=float, default=5.0, help="of each row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        directory = Path(folder)
        write_random_checkpoint(directory, 4242, config=json.loads(options.config.read_text()))
        print(f"{processor()}, 1 thread a rank, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}\n")
        print(
            "| ranks | streams | one rank, ms | ranks, ms | of it exchange, ms | KiB to and from each rank |"
        )
        print("|---|---|---|---|---|---|")
        for count in options.ranks:
            print("\n".join(rows(directory, count, options)), flush=True)


if __name__ == "__main__":
    main()
