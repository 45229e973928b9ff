"""How fast the model is through its services: what each of them adds, and how many callers they carry.

    python -m benchmarks.serving --config benchmarks/engine_mid.json       # a stack of its own, random weights
    python -m benchmarks.serving --model some/checkpoint --table out.md
    python -m benchmarks.serving --orchestrator HOST:PORT --llm HOST:PORT --gateway http://HOST:PORT

The same sentences with the same seeds go through every door in turns, first one at a time, then as many as
`--streams` at once, so that what else the machine does falls on all of them. `engine` is what the engine says
about its own time in Triton's answers; what is added to it holds the tokenizer's decoding, too, whose own time is
measured in this process when the services have ended. Callers of the last table come when they like (a Poisson
process), and one that is refused never hears anything.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx2 as httpx

from benchmarks.hardware import processor
from benchmarks.serving_doors import (
    CALL_SECONDS,
    Door,
    GrpcDoor,
    HttpDoor,
    Sentence,
    TritonDoor,
    known_voice,
    sentences,
)
from benchmarks.serving_load import Answer, Trial, arrival_times, highest_rate
from benchmarks.serving_place import Place, checkpoint, started
from benchmarks.serving_tables import Measured, aim_lines, door_lines, mean_audio_seconds, trial_lines
from uniaudio.client import AsyncSpeechClient
from uniaudio.errors import ModelOutputError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.v1 import audio_pb2

TEXTS = [  # which nano says
    "my sister bought a yellow bicycle",
    "there were fifteen poor streets in our school",
    "where can he count the lost needle",
    "the stadium became soft and strong in september",
]
CALLER_SEED = 20_261_126


async def measure(
    doors: Sequence[Door], place: Place, spoken: Sequence[Sentence], num_streams: int, num_rounds: int
) -> list[Measured]:
    """So many rounds; in each, every door speaks the same sentences, all of a turn at once."""
    measured = [Measured(door, num_streams) for door in doors]
    for number in range(num_rounds):
        turn = [spoken[(number * num_streams + index) % len(spoken)] for index in range(num_streams)]
        for each in measured:
            before = place.processor_seconds()
            answers = await asyncio.gather(*(each.door.speak(sentence) for sentence in turn))
            for name, used in place.processor_seconds().items():
                each.processor_seconds[name] = each.processor_seconds.get(name, 0.0) + used - before[name]
            _check(each.door, answers)
            each.answers += answers
    return measured


def _check(door: Door, answers: Sequence[Answer]) -> None:
    for answer in answers:
        if answer.failure or not answer.pieces:
            raise ModelOutputError(
                f"{door.name} ended with {answer.failure or 'no sound'} while it was measured; nothing else may "
                "use the services meanwhile, and they must take --streams at once",
                value=answer.failure or "no sound",
                limit="an answer with sound",
                remedy="see the services' logs",
            )


async def offer(door: Door, spoken: Sequence[Sentence], rate: float, options: argparse.Namespace) -> Trial:
    """Callers at a rate, for the asked seconds, but no fewer than the asked number of them."""
    count = max(options.callers, round(rate * options.seconds))
    began = time.monotonic()

    async def call(number: int, at: float) -> Answer:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        return await door.speak(spoken[number % len(spoken)])

    times = arrival_times(rate, count, CALLER_SEED)
    answers = await asyncio.gather(*(call(number, at) for number, at in enumerate(times)))
    return Trial(rate, time.monotonic() - began, tuple(answers))


@dataclass(frozen=True)
class Found:
    """What was measured: every door with one stream and with many, and the rates of callers that were tried."""

    model: audio_pb2.ModelInfo
    alone: list[Measured]
    many: list[Measured]
    trials: list[Trial]
    highest_rate: float


async def run(place: Place, options: argparse.Namespace) -> Found:
    """Measures the services."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(AsyncSpeechClient(place.orchestrator))
        llm = await stack.enter_async_context(LlmClient(place.llm))
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=place.gateway, timeout=CALL_SECONDS)
        )
        model = (await client.info()).model
        triton, grpc = TritonDoor(llm), GrpcDoor(client)
        spoken = await sentences(client, triton, options.text, max(options.streams, 4))
        voice = await stack.enter_async_context(known_voice(client))
        doors: list[Door] = [triton, grpc, GrpcDoor(client, voice), HttpDoor(http)]
        await measure(doors, place, spoken, options.streams, 1)  # connections, caches, the voice's prefix
        alone = await measure(doors, place, spoken, 1, options.rounds)
        many = await measure(doors, place, spoken, options.streams, max(1, options.rounds // 4))
        trials: list[Trial] = []

        async def holds(rate: float) -> bool:
            trials.append(await offer(grpc, spoken, rate, options))
            return trials[-1].holds

        highest = await highest_rate(holds, options.rate)
    return Found(model, alone, many, trials, highest)


def report(found: Found, model: Path | None) -> list[str]:
    """The lines of the report; what the decoder of `model` takes is measured for it."""
    where = f"{processor()}, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}"
    about = f"Model {found.model.name} {found.model.revision}. Services and callers share the machine."
    one, more = (_decoder_seconds(model, measured) for measured in (found.alone, found.many))
    return [
        f"{where}, `python -m benchmarks.serving {' '.join(sys.argv[1:])}`",
        *("", about, "", *door_lines(found.alone, one), "", *door_lines(found.many, more)),
        *("", *aim_lines(found.alone, found.many, one), "", *trial_lines(found.trials, found.highest_rate)),
    ]


def _decoder_seconds(model: Path | None, measured: Sequence[Measured]) -> float | None:
    if model is None:
        return None
    from benchmarks.serving_decoder import decoder_seconds  # torch, which callers do without

    return decoder_seconds(model, measured[0].num_streams, mean_audio_seconds(measured))


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="checkpoint of the stack that is started")
    parser.add_argument("--config", type=Path, help="the same, with random weights of this size")
    parser.add_argument("--tokenizer-backend", default="ray", choices=("ray", "local"))
    parser.add_argument(
        "--held-seconds", type=float, default=2.0, help="of a sentence that are held back at most"
    )
    parser.add_argument(
        "--orchestrator", help="host:port of a stack that runs already; with --llm, --gateway"
    )
    parser.add_argument("--llm", help="host:port of its Triton")
    parser.add_argument("--gateway", help="http://host:port of its gateway")
    parser.add_argument("--text", action="append", help="what is said; may be given again")
    parser.add_argument("--rounds", type=int, default=20, help="of one stream; a quarter with many")
    parser.add_argument("--streams", type=int, default=16, help="how many are many")
    parser.add_argument("--rate", type=float, default=1.0, help="callers a second to begin with")
    parser.add_argument("--seconds", type=float, default=20.0, help="that callers of one rate keep coming")
    parser.add_argument("--callers", type=int, default=40, help="of one rate, at least")
    parser.add_argument("--table", type=Path, help="also write the report there")
    options = parser.parse_args()
    options.text = options.text or TEXTS
    addresses = [options.orchestrator, options.llm, options.gateway]
    if any(addresses) and not all(addresses):
        parser.error("give --orchestrator, --llm and --gateway together")
    return options


def main() -> None:
    """Starts a stack or takes one, measures, prints."""
    options = arguments()
    with ExitStack() as stack:
        if options.orchestrator:
            place = Place(orchestrator=options.orchestrator, llm=options.llm, gateway=options.gateway)
            services: AbstractContextManager[Place] = nullcontext(place)
            model = None
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            model = options.model or stack.enter_context(checkpoint(options.config))
            services = started(
                folder,
                model=model,
                num_streams=2 * options.streams,
                held_seconds=options.held_seconds,
                tokenizer_backend=options.tokenizer_backend,
            )
        with services as place:
            found = asyncio.run(run(place, options))
        told = report(found, model)
    print("\n".join(told))
    if options.table:
        options.table.write_text("\n".join(told) + "\n")


if __name__ == "__main__":
    main()
