"""Doors are measured in turns with the same sentences; callers come at their times; the tables say what happened."""

from __future__ import annotations

import argparse

import pytest

from benchmarks.serving import measure, offer
from benchmarks.serving_doors import Sentence
from benchmarks.serving_load import Answer, Piece, Trial
from benchmarks.serving_place import Place
from benchmarks.serving_tables import aim_lines, door_lines, trial_lines
from uniaudio.errors import ModelOutputError

SPOKEN = [Sentence("one", 1), Sentence("two", 2), Sentence("three", 3)]
NOWHERE = Place(orchestrator="", llm="", gateway="")


class FakeDoor:
    """Answers half a second of speech at once, as if it had taken `seconds`."""

    def __init__(
        self, name: str, seconds: float, log: list[str], *, engine_seconds: float | None = None
    ) -> None:
        self.name = name
        self._log = log
        self._answer = Answer((Piece(seconds / 2, 0.25), Piece(seconds, 0.25)), seconds, engine_seconds)

    async def speak(self, sentence: Sentence) -> Answer:
        self._log.append(f"{self.name} {sentence.text}")
        return self._answer


class SilentDoor:
    name = "silent"

    async def speak(self, sentence: Sentence) -> Answer:
        return Answer(failure="UNAVAILABLE")


def doors(log: list[str]) -> list[FakeDoor]:
    return [
        FakeDoor("triton", 0.11, log, engine_seconds=0.1),
        FakeDoor("grpc", 0.12, log),
        FakeDoor("known", 0.13, log),
        FakeDoor("http", 0.14, log),
    ]


async def test_doors_take_turns_and_speak_the_same() -> None:
    log: list[str] = []
    measured = await measure(doors(log)[:2], NOWHERE, SPOKEN, 2, 2)
    first = ["triton one", "triton two", "grpc one", "grpc two"]
    assert log == [*first, "triton three", "triton one", "grpc three", "grpc one"]
    assert [len(each.answers) for each in measured] == [4, 4]


async def test_a_door_that_fails_ends_the_measurement() -> None:
    with pytest.raises(ModelOutputError, match="silent ended with UNAVAILABLE"):
        await measure([SilentDoor()], NOWHERE, SPOKEN, 1, 1)


async def test_callers_come_as_often_as_asked_but_no_fewer_than_asked() -> None:
    log: list[str] = []
    options = argparse.Namespace(callers=5, seconds=0.02)
    assert len((await offer(doors(log)[1], SPOKEN, 100.0, options)).answers) == 5
    options = argparse.Namespace(callers=1, seconds=0.02)
    assert len((await offer(doors(log)[1], SPOKEN, 200.0, options)).answers) == 4


async def test_the_tables_tell_what_was_added() -> None:
    measured = await measure(doors([]), NOWHERE, SPOKEN, 1, 3)
    lines = list(door_lines(measured))
    assert [line.split(" | ")[0] for line in lines[2:]] == [
        "| engine",
        "| triton",
        "| grpc",
        "| known",
        "| http",
    ]
    assert "**+10 %**" in lines[3]
    assert "**+20 %**" in lines[4]
    told = "\n".join(aim_lines(measured, measured, 0.01))
    assert "| services add < 10 % to the engine's own time | +20 % |" in told
    assert "| the same, of the model's own, decoder included | +9 % |" in told
    assert "| HTTP adds < 5 ms to the first audio | +10.0 ms |" in told
    assert "per stream at 1 | – |" in told  # no process of the gateway's is known


async def test_the_decoders_own_time_is_told_apart() -> None:
    measured = await measure(doors([]), NOWHERE, SPOKEN, 1, 3)
    engine, model, triton, grpc, *_ = list(door_lines(measured, 0.01))[2:]
    assert engine.startswith("| engine | 1 | | 100.0 |")
    assert model.startswith("| engine and decoder | 1 | | 110.0 |")
    assert "| **+10 %** |  |" in triton
    assert "| **+20 %** | **+9 %** |" in grpc


@pytest.mark.parametrize(("highest", "told"), [(2.0, "**2.00 a second**"), (0.0, "none of those")])
def test_the_table_of_rates(highest: float, told: str) -> None:
    trials = [Trial(rate, 1.0, (Answer((Piece(rate / 10, 1.0),), 1.0),)) for rate in (8.0, 2.0)]
    lines = list(trial_lines(trials, highest))
    assert lines[2].startswith("| 2.00 | 1 | 200.0 / 200.0 | 0 | 0 | 1.0 | yes |")
    assert lines[3].endswith("| no |")
    assert told in lines[-1]
