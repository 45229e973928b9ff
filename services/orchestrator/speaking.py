"""From a running generation to sound, while it runs: patches are decoded as soon as somebody may wait for them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import numpy as np

from services.orchestrator.clients import Finished, Generated, PatchMade, TextMade, Tokenizer, stopped_early
from services.orchestrator.domain import Floats
from services.orchestrator.groups import Groups, Room
from services.orchestrator.recordings import seconds_of
from uniaudio.errors import ModelOutputError
from uniaudio.runtime.guard.meter import use_audio

Spoken = TextMade | PatchMade | Finished | Floats
"""Text, then for speech each patch beside pieces `(num_samples,)` of the 16 kHz waveform, then the end."""


async def decode_while_made(
    events: AsyncGenerator[Generated, None], tokenizer: Tokenizer, room: Callable[[], Room]
) -> AsyncGenerator[Spoken, None]:
    """Text as it comes, waveform pieces while further patches are made, Finished last.

    `room()` tells how much sound may be gathered before it is decoded. Closing it cancels the generation and the
    decoding.
    """
    async with aclosing(events):
        first = None
        async for event in events:
            if isinstance(event, PatchMade):
                first = event
                break
            if isinstance(event, (TextMade, Finished)):
                yield event
        if first is not None:
            async with aclosing(_speech(first, events, tokenizer, room)) as speech:
                async for piece in speech:
                    yield piece


async def _speech(
    first: PatchMade, events: AsyncGenerator[Generated, None], tokenizer: Tokenizer, room: Callable[[], Room]
) -> AsyncGenerator[Spoken, None]:
    made = [first]
    finished: Finished | None = None

    async def latents() -> AsyncGenerator[Floats, None]:
        # The tokenizer's client pulls this in a task of its own, beside the reading of its answers.
        nonlocal finished
        yield first.latents
        async for event in events:
            if isinstance(event, PatchMade):
                made.append(event)
                yield event.latents
            elif isinstance(event, Finished):
                finished = event

    groups = Groups(latents(), room)
    async with aclosing(groups), aclosing(tokenizer.stream_decode(groups)) as pieces:
        async for piece in pieces:
            while made:
                yield made.pop(0)
            if not np.isfinite(piece).all():
                raise ModelOutputError(
                    "the model made sound that is not finite (NaN or infinity); try another seed or lower "
                    "guidance_scale and temperature",
                    value="sound that is not finite",
                    limit="finite samples",
                    remedy="try another seed, or lower guidance_scale and temperature",
                )
            await use_audio(seconds_of(piece))
            yield piece
    while made:
        yield made.pop(0)
    if finished is None:
        raise stopped_early()
    yield finished
