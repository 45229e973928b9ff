"""Speech that is made anew, with another seed, while what came out cannot be right."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from services.orchestrator.clients import Finished, PatchMade, TextMade
from services.orchestrator.domain import Floats
from services.orchestrator.speaking import Spoken
from services.orchestrator.stages import stage
from services.orchestrator.suspicion import Holdback


def derive_seed(seed: int, part: int, attempt: int) -> int:
    """The seed of one try at one part of an answer; the very first is the request's own."""
    if part == attempt == 0:
        return seed
    digest = hashlib.blake2b(f"{seed}/{part}/{attempt}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


@dataclass
class _Try:
    """What one attempt came to."""

    holdback: Holdback
    latents: list[Floats]
    finished: Finished | None = None

    @property
    def score(self) -> float:
        """Seconds that could be heard."""
        return self.holdback.seconds if self.holdback.is_audible else 0.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long sound is held back to be judged, and how often it is made anew."""

    max_attempts: int = 3
    max_held_seconds: float = 2.0


class Attempts:
    """One part of an answer: `run` it once, then read how it went.

    `what` names the part in warnings; less than `plausible_seconds` of sound, or silence, is not believed.
    """

    def __init__(self, what: str, plausible_seconds: float, patience: Patience) -> None:
        self.what = what
        self._plausible_seconds = plausible_seconds
        self._patience = patience
        self._used: _Try | None = None
        self.warning = ""

    @property
    def finished(self) -> Finished:
        """How the try that was used ended."""
        assert self._used is not None
        assert self._used.finished is not None
        return self._used.finished

    @property
    def latents(self) -> Floats:
        """What was said, `(num_frames, latent_dim)`; no rows where nothing was."""
        assert self._used is not None
        return np.concatenate(self._used.latents) if self._used.latents else np.zeros((0, 0), np.float32)

    async def run(
        self, make: Callable[[int], AsyncGenerator[Spoken, None]]
    ) -> AsyncGenerator[TextMade | Floats, None]:
        """Text of the first try and sound of the try that is used; `make(attempt)` begins one."""
        for attempt in range(self._patience.max_attempts):
            holdback = Holdback(self._plausible_seconds, self._patience.max_held_seconds)
            current = _Try(holdback, [])
            with stage("speak", what=self.what, attempt=attempt):
                async with aclosing(make(attempt)) as spoken:
                    async for item in spoken:
                        for ready in self._take(current, item, is_first=attempt == 0):
                            yield ready
            if self._used is None or holdback.is_released or current.score > self._used.score:
                self._used = current
            if holdback.is_released:
                break
        assert self._used is not None
        for piece in self._used.holdback.held:
            yield piece
        self._judge(self._used.holdback)

    def _take(self, current: _Try, item: Spoken, *, is_first: bool) -> list[TextMade | Floats]:
        match item:
            case PatchMade():
                current.latents.append(item.latents)
            case Finished():
                current.finished = item
            case TextMade():
                return [item] if is_first else []
            case _:
                return list(current.holdback.feed(item))
        return []

    def _judge(self, holdback: Holdback) -> None:
        if complaint := holdback.complaint():
            tries = self._patience.max_attempts
            often = "" if holdback.is_released or tries == 1 else f" in each of {tries} tries"
            self.warning = f"{self.what} {complaint}{often}"
