"""Stand-ins for the orchestrator's neighbours: the same protocols, a few lines each, and a record of what happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from services.orchestrator.clients import (
    Finished,
    Follow,
    Followed,
    Generated,
    PatchMade,
    Speak,
    Task,
    TextMade,
    Understand,
)
from services.orchestrator.domain import (
    FinishReason,
    Model,
    Normalization,
    Sampling,
)
from services.orchestrator.following import Place
from uniaudio.editing.checks import Check, Verdict
from uniaudio.editing.exact import ExactEdit
from uniaudio.editing.plan import EditKind, Plan
from uniaudio.editing.splice import EditedRange, Splice
from uniaudio.editing.target import Resolution
from uniaudio.errors import UnavailableError

Floats = NDArray[np.float32]
HOP = 320
PATCH = 5
DIM = 4
RANDOM = Model(name="fake", revision="0" * 12, trained=False, notice="the weights are random")
NAMING = Model(name="naming", revision="1" * 12, names_letters=True, patch_frames=PATCH)


class FakeTokenizer:
    """Latents whose first value is the mean of their samples; decoding gives 20 ms of that value each.

    A streaming decode answers patch by patch, so a recording comes back as its own staircase. With an `alphabet` it
    hears in each latent what `ear` answers.
    """

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.fail_after_pieces: int | None = None
        self.stream_error: Exception = UnavailableError("the fake tokenizer was told to fail")
        self.encoded: list[int] = []
        self.num_open = 0
        self.decoded_patches = 0
        self.alphabet = ""
        self.ear: Callable[[Floats], Floats] | None = None

    async def model(self) -> Model:
        if self.error is not None:
            raise self.error
        return replace(RANDOM, alphabet=self.alphabet)

    async def check_ready(self) -> None:
        await self.model()

    async def encode(self, waveform: Floats) -> Floats:
        if self.error is not None:
            raise self.error
        self.encoded.append(len(waveform))
        padded = np.pad(waveform, (0, -len(waveform) % HOP))
        latents = np.zeros((len(padded) // HOP, DIM), np.float32)
        latents[:, 0] = padded.reshape(-1, HOP).mean(axis=1)
        return latents

    async def spell(self, latents: Floats) -> Floats:
        assert self.ear is not None, "nobody asks a model without an alphabet"
        return self.ear(latents)

    async def stream_decode(self, latents: AsyncIterable[Floats]) -> AsyncGenerator[Floats, None]:
        self.num_open += 1
        try:
            num_pieces = 0
            async for piece in latents:
                if num_pieces == self.fail_after_pieces:
                    raise self.stream_error
                self.decoded_patches += len(piece) // PATCH
                num_pieces += 1
                yield np.repeat(piece[:, 0], HOP).astype(np.float32)
        finally:
            self.num_open -= 1


LETTERS = " abcdefghijklmnopqrstuvwxyz"


def hearing(text: Callable[[Floats], str]) -> FakeTokenizer:
    """A tokenizer with an ear that is nearly sure of a letter each 20 ms: those of `text(latents)`, "-" for none.

    Latents beyond the text speak none.
    """

    def ear(latents: Floats) -> Floats:
        letters = text(latents)[: len(latents)].ljust(len(latents), "-")
        heard = np.full((len(latents), 1 + len(LETTERS)), np.log(1e-4), np.float32)
        heard[np.arange(len(latents)), [1 + LETTERS.find(letter) for letter in letters]] = np.log(0.997)
        return heard

    tokenizer = FakeTokenizer()
    tokenizer.alphabet, tokenizer.ear = LETTERS, ear
    return tokenizer


def patches(values: Iterable[float]) -> list[PatchMade]:
    """One patch per value, all its samples at that level."""
    return [PatchMade(np.full((PATCH, DIM), value, np.float32)) for value in values]


def noise_patches(count: int, seed: int = 0) -> list[PatchMade]:
    """Audible patches that differ."""
    rng = np.random.default_rng(seed)
    return patches(rng.uniform(0.1, 0.5, count))


def even_letters(task: Follow, latents: Floats) -> list[Generated]:
    """A recording whose characters all take the same time, and whose patches say so."""
    num_patches, rows = (
        len(latents) // PATCH,
        np.full((len(latents) // PATCH, len(task.text)), -9.0, np.float32),
    )
    for patch in range(num_patches):
        rows[patch, patch * len(task.text) // num_patches] = -0.1
    return [Followed(rows)]


Script = Callable[[Task, "Floats | None", Sampling], list[Generated]]


@dataclass
class FakeLanguageModel:
    """Plays what `script` answers to each task; `Finished` is added where the script leaves it out."""

    script: Script
    error: Exception | None = None
    pause: Callable[[int], asyncio.Event | None] = lambda _: None
    served: Model = RANDOM
    tasks: list[tuple[Task, Floats | None, Sampling]] = field(default_factory=list)
    resumed: list[int] = field(default_factory=list)
    """How many patches each generation that went on was given."""
    num_open: int = 0
    num_made: int = 0
    num_cancelled: int = 0

    async def model(self) -> Model:
        if self.error is not None:
            raise self.error
        return self.served

    async def generate(
        self, task: Task, latents: Floats | None, sampling: Sampling, *, made: Floats | None = None
    ) -> AsyncGenerator[Generated, None]:
        if self.error is not None:
            raise self.error
        self.tasks.append((task, latents, sampling))
        if made is not None:
            self.resumed.append(len(made))
        events = self.script(task, latents, sampling)
        self.num_open += 1
        finished = False
        try:
            for index, event in enumerate(events):
                await asyncio.sleep(0)
                if (gate := self.pause(index)) is not None:
                    await gate.wait()
                self.num_made += 1
                yield event
            if not events or not isinstance(events[-1], Finished):
                text = "".join(event.text for event in events if isinstance(event, TextMade))
                num_patches = sum(isinstance(event, PatchMade) for event in events)
                yield Finished(FinishReason.STOP, text, num_patches, RANDOM)
            finished = True
        finally:
            self.num_open -= 1
            self.num_cancelled += not finished


def reading(text: str = "English\thello world") -> Script:
    """A model that hears the same words everywhere and speaks a second of noise."""

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        if isinstance(task, Understand):
            return [TextMade(text)]
        letters = len(task.text) if isinstance(task, Speak) else 40
        return [*noise_patches(max(10, letters), seed=(sampling.seed or 0) % 2**32)]

    return script


def tone(seconds: float, *, level: float = 0.3, sample_rate: int = 16_000) -> Floats:
    """A 200 Hz sine."""
    times = np.arange(int(seconds * sample_rate)) / sample_rate
    return (level * np.sin(2 * np.pi * 200 * times)).astype(np.float32)


def silence(seconds: float) -> Floats:
    """Nothing, at 16 kHz."""
    return np.zeros(int(seconds * 16_000), np.float32)


def speech_like(*seconds: float) -> Floats:
    """Tones of the given lengths with 0.8 s of silence after each."""
    return np.concatenate([part for length in seconds for part in (tone(length), silence(0.8))])


def _check(name: str, passed: bool, detail: str) -> Check:
    verdict = Verdict.PASSED if passed else Verdict.FAILED
    return Check(name=name, verdict=verdict, expected=0, tolerance=0, unit="", detail=detail)


class FakeTools:
    """Editing tools that only leave a trace: volume is exact, splicing keeps the first half of the source."""

    def apply_exact(self, plan: Plan, waveform: Floats) -> ExactEdit:
        factor = 1 / plan.value if plan.kind is EditKind.SPEED else 1.0
        gain = plan.value if plan.kind is EditKind.VOLUME else 1.0
        return ExactEdit(np.resize(waveform, round(len(waveform) * factor)) * np.float32(gain))

    def measure(self, plan: Plan, source: Floats, result: Floats) -> tuple[Check, ...]:
        ratio = len(result) / len(source)
        return (_check("duration_ratio", True, f"{ratio:.3f}"),)

    def samples_before(self, source: Floats, resolution: Resolution) -> int:
        return int(resolution.source_fraction[0] * len(source))

    def copy_untouched(self, source: Floats, spoken: Floats, resolution: Resolution | None) -> Splice:
        half, seconds = len(source) // 2, len(source) / 32_000
        waveform = np.concatenate([source[:half], spoken])
        changed = EditedRange((seconds, 2 * seconds), (seconds, len(waveform) / 16_000))
        return Splice(waveform, (changed,), True, 1.0)

    def put_in(self, source: Floats, spoken: Floats, place: Place, new: Place) -> Splice:
        waveform = np.concatenate([source[: place[0]], spoken[new[0] : new[1]], source[place[1] :]])
        end = place[0] + new[1] - new[0]
        changed = EditedRange(_seconds(*place), _seconds(place[0], end))
        return Splice(waveform, (changed,), True, 1.0)

    def cut_out(self, source: Floats, place: Place) -> Splice:
        changed = EditedRange(_seconds(*place), _seconds(place[0], place[0]))
        return Splice(np.concatenate([source[: place[0]], source[place[1] :]]), (changed,), True, 1.0)


def _seconds(start: int, end: int) -> tuple[float, float]:
    return start / 16_000, end / 16_000


def split_at_bars(text: str, normalization: Normalization, max_characters: int) -> list[str]:
    """Sentences written with bars between them."""
    return [part.strip() for part in text.split("|") if any(map(str.isalnum, part))]
