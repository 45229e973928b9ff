"""How much sound may be gathered before it is decoded: what is missing while it is held, then what the hearer has."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from services.orchestrator.attempts import Attempts, Listening, Patience
from services.orchestrator.clients import Finished
from services.orchestrator.domain import FinishReason, Floats
from services.orchestrator.groups import Lead, Room
from services.orchestrator.listening import Listener
from services.orchestrator.speaking import Spoken
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import RANDOM, FakeLanguageModel, FakeTokenizer

SECOND = np.full(16_000, 0.1, np.float32)
DONE = Finished(FinishReason.STOP, "", 1, RANDOM)


async def rooms_of(attempts: Attempts, *pieces: Floats) -> list[Room]:
    """The room at the start and after each of the pieces."""
    rooms: list[Room] = []

    async def make(attempt: int) -> AsyncGenerator[Spoken, None]:
        rooms.append(attempts.room())
        for piece in pieces:
            yield piece
            rooms.append(attempts.room())
        yield DONE

    async for _ in attempts.run(make):
        pass
    return rooms


async def test_what_is_missing_while_it_is_held_then_half_of_the_lead() -> None:
    lead = Lead(lambda: 0.0)
    attempts = Attempts("it", 1.5, Patience(), lead=lead)
    assert await rooms_of(attempts, SECOND, SECOND, SECOND) == [
        Room(1.5, math.inf),
        Room(0.5, math.inf),
        Room(1.0, 1.0),
        Room(1.5, 1.5),
    ]
    assert lead.seconds() == 3.0


async def test_silence_is_decoded_at_once_where_enough_is_there() -> None:
    attempts = Attempts("it", 1.0, Patience(max_attempts=1))
    assert await rooms_of(attempts, 0 * SECOND) == [Room(1.0, math.inf), Room(0.0, math.inf)]


async def test_all_of_it_where_it_is_heard_before_it_leaves() -> None:
    tokenizer = FakeTokenizer()
    listener = Listener(tokenizer, Transcriber(tokenizer, FakeLanguageModel(lambda *_: [])))
    attempts = Attempts("it", 0.5, Patience(), Listening(1, "...", listener))
    assert await rooms_of(attempts, SECOND) == [Room(math.inf, math.inf)] * 2


@pytest.mark.parametrize("seconds", [0.5, 3.0])
async def test_a_lead_of_earlier_parts_counts(seconds: float) -> None:
    lead = Lead(lambda: 0.0)
    lead.give(seconds)
    attempts = Attempts("it", 0.0, Patience(), lead=lead)
    assert (await rooms_of(attempts, SECOND))[-1].seconds == (seconds + 1) / 2
