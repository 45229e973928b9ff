"""Beyond the highest arrival rate: what is shed, what is kept, and how soon it is over.

    python -m benchmarks.load --rates 0.5 1 2 4 8 --seconds 20 --plot load.png
    python -m benchmarks.load --server 127.0.0.1:50051 --token-file desk.token

Requests arrive at random moments of a mean rate, whether earlier ones were answered or not, rate after rate.
Then nothing arrives but one request at a time, and it is seen how long it takes until one is let in, and until
one is answered about as fast as at the first rate. Without a server it starts `uniaudio up` itself.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.fakes_speech import tone
from tests.stack import start_stack
from uniaudio.client import AsyncSpeechClient, sampling
from uniaudio.errors import QueueFullError, UniaudioError
from uniaudio.evaluation.plots import lines
from uniaudio.runtime.ports import free_port

_START_SECONDS = 300.0
_CALL_SECONDS = 60.0
_RECOVERY_SECONDS = 120.0
_TEXT = "The quick brown fox."
_USUAL = 2.0
"""A request is answered as usual again when it takes at most so many times the first rate's median."""


@dataclass
class Stage:
    """Arrivals of one rate, and what became of them."""

    rate: float
    seconds: list[float] = field(default_factory=list)
    """From arrival to answer, of those that were answered."""
    num_shed: int = 0
    num_told_when: int = 0
    """Of those: told when to come back."""
    failures: Counter[str] = field(default_factory=Counter)
    """Let in and not answered, by reason."""

    @property
    def num_offered(self) -> int:
        """All arrivals."""
        return len(self.seconds) + self.num_shed + self.failures.total()

    def percentile(self, share: float) -> float:
        """Seconds to an answer; not a number where there was none."""
        return float(np.percentile(self.seconds, share)) if self.seconds else float("nan")


class Caller:
    """Makes one kind of request."""

    def __init__(self, client: AsyncSpeechClient, kind: str) -> None:
        self._client = client
        self._kind = kind
        self._recording = tone(1.0)

    async def call(self, stage: Stage) -> None:
        """One request, counted at its end."""
        began = time.monotonic()
        try:
            await self._ask()
        except QueueFullError as error:
            stage.num_shed += 1
            stage.num_told_when += "retry_after_seconds" in error.metadata
        except UniaudioError as error:
            stage.failures[error.reason] += 1
        else:
            stage.seconds.append(time.monotonic() - began)

    async def _ask(self) -> None:
        if self._kind == "transcribe":
            await self._client.transcribe(self._recording, sample_rate=16_000, timeout_seconds=_CALL_SECONDS)
            return
        async for _ in self._client.synthesize(
            _TEXT, sampling=sampling(takes=1), timeout_seconds=_CALL_SECONDS
        ):
            pass


async def arrive(caller: Caller, stage: Stage, seconds: float, rng: random.Random) -> set[asyncio.Task[None]]:
    """Arrivals of a rate for so long; the calls that have not ended by then."""
    calls: set[asyncio.Task[None]] = set()
    began, due = time.monotonic(), 0.0
    while (due := due + rng.expovariate(stage.rate)) < seconds:
        await asyncio.sleep(max(0.0, began + due - time.monotonic()))
        call = asyncio.create_task(caller.call(stage))
        calls.add(call)
        call.add_done_callback(calls.discard)
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))
    return calls


async def recover(caller: Caller, usual_seconds: float) -> tuple[float, float]:
    """Seconds until a request is let in, and until one takes no longer than usual."""
    began, let_in = time.monotonic(), float("nan")
    async with asyncio.timeout(_RECOVERY_SECONDS):
        while True:
            asked, probe = time.monotonic() - began, Stage(0.0)
            await caller.call(probe)
            if probe.seconds:
                let_in = asked if np.isnan(let_in) else let_in
                if probe.seconds[0] <= usual_seconds:
                    return let_in, asked
            await asyncio.sleep(0.2)


async def measure(address: str, options: argparse.Namespace) -> tuple[list[Stage], tuple[float, float]]:
    """The ramp, and the recovery after it."""
    token = options.token_file.read_text().strip() if options.token_file else ""
    rng = random.Random(options.seed)
    async with AsyncSpeechClient(address, token=token) as client:
        caller = Caller(client, options.kind)
        for _ in range(3):
            await caller.call(Stage(0.0))  # what is compiled or loaded at first use
        stages, running = [Stage(rate) for rate in options.rates], set[asyncio.Task[None]]()
        for stage in stages:
            running |= await arrive(caller, stage, options.seconds, rng)
        recovery = await recover(caller, _USUAL * stages[0].percentile(50))
        await asyncio.gather(*running)
    return stages, recovery


def table(stages: Sequence[Stage], recovery: tuple[float, float], kind: str) -> str:
    """What was measured, as Markdown."""
    head = (
        f"Requests: {kind}.\n\n"
        "| arrivals a second | offered | answered | shed | of them told when to come back | let in and failed "
        "| p50 s | p99 s |\n|---|---|---|---|---|---|---|---|\n"
    )
    rows = [
        f"| {stage.rate:g} | {stage.num_offered} | {len(stage.seconds)} | {stage.num_shed} | {stage.num_told_when} "
        f"| {_told(stage.failures)} | {stage.percentile(50):.2f} | {stage.percentile(99):.2f} |"
        for stage in stages
    ]
    let_in, usual = recovery
    end = (
        f"\n\nAfter the last rate a request was let in after {let_in:.1f} s, and answered within "
        f"{_USUAL:g} times the first rate's median after {usual:.1f} s."
    )
    return head + "\n".join(rows) + end


def _told(failures: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in failures.items()) or "0"


def plot(path: Path, stages: Sequence[Stage], seconds: float) -> None:
    """Draws answered and shed beside offered, a second."""
    rates = [stage.rate for stage in stages]
    curves = {
        "offered": [stage.num_offered / seconds for stage in stages],
        "answered": [len(stage.seconds) / seconds for stage in stages],
        "shed": [stage.num_shed / seconds for stage in stages],
    }
    drawn = {name: (rates, values) for name, values in curves.items()}
    path.write_bytes(lines(drawn, x="arrivals a second", y="requests a second"))


@asynccontextmanager
async def served(server: str, tokenizer: str) -> AsyncIterator[str]:
    """The address of a stack that runs, or of one that is started for this."""
    if server:
        yield server
        return
    with tempfile.TemporaryDirectory() as folder:
        stack = start_stack(Path(folder), free_port, arguments=("--tokenizer-backend", tokenizer))
        try:
            await asyncio.to_thread(stack.wait_until_serving, _START_SECONDS)
            yield stack.address
        finally:
            await asyncio.to_thread(stack.stop)


async def run(options: argparse.Namespace) -> None:
    """Measures and tells."""
    async with served(options.server, options.tokenizer_backend) as address:
        stages, recovery = await measure(address, options)
    print(table(stages, recovery, options.kind))
    if options.plot:
        plot(options.plot, stages, options.seconds)


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", default="", help="host:port of the orchestrator; starts a stack without")
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--tokenizer-backend", default="ray", help="of the stack that is started")
    parser.add_argument("--kind", choices=("transcribe", "speak"), default="transcribe")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.5, 1, 2, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plot", type=Path, help="draw a PNG")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
