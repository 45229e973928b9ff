"""Speech that is made anew, with another seed, while what came out cannot be right or is not heard to be."""

from __future__ import annotations

import hashlib
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from services.orchestrator.clients import Finished, PatchMade, TextMade
from services.orchestrator.domain import Floats
from services.orchestrator.groups import Lead, Room
from services.orchestrator.heard_words import share_wrong
from services.orchestrator.listening import Heard, Listener
from services.orchestrator.recordings import seconds_of
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
    heard: Heard = field(default_factory=lambda: Heard(math.inf, False))

    @property
    def score(self) -> tuple[float, float]:
        """The least doubt, then the most seconds that could be heard."""
        return -self.heard.doubt, self.holdback.seconds if self.holdback.is_audible else 0.0


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long sound is held back to be judged, and how often it is made anew."""

    max_attempts: int = 3
    max_held_seconds: float = 2.0


@dataclass(frozen=True)
class Listening:
    """Up to `max_takes` are heard before one leaves, by `listener`, who knows that it should say `text`."""

    max_takes: int
    text: str
    listener: Listener


class Attempts:
    """One part of an answer: `run` it once, then read how it went.

    `what` names the part in warnings; less than `plausible_seconds` of sound, or silence, is not believed.
    With `listening` nothing leaves before its words were heard. `lead` is what left before this part.
    """

    def __init__(
        self,
        what: str,
        plausible_seconds: float,
        patience: Patience,
        listening: Listening | None = None,
        lead: Lead | None = None,
    ) -> None:
        self.what = what
        self._plausible_seconds = plausible_seconds
        self._patience = patience
        self._listening = listening
        self._max_attempts = listening.max_takes if listening else patience.max_attempts
        self._lead = lead or Lead()
        self._current: _Try | None = None
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

    def room(self) -> Room:
        """How much sound of the try that is being made may be gathered before it is decoded."""
        assert self._current is not None
        holdback = self._current.holdback
        return self._lead.room() if holdback.is_released else Room(holdback.missing_seconds, math.inf)

    async def run(
        self, make: Callable[[int], AsyncGenerator[Spoken, None]]
    ) -> AsyncGenerator[TextMade | Floats, None]:
        """Text of the first try and sound of the try that is used; `make(attempt)` begins one."""
        for attempt in range(self._max_attempts):
            self._current = current = _Try(self._holdback(), [])
            with stage("speak", what=self.what, attempt=attempt):
                async with aclosing(make(attempt)) as spoken:
                    async for item in spoken:
                        for ready in self._take(current, item, is_first=attempt == 0):
                            self._note(ready)
                            yield ready
            is_right = await self._is_right(current)
            if self._used is None or is_right or current.score > self._used.score:
                self._used = current
            if is_right:
                break
        assert self._used is not None
        for piece in self._used.holdback.held:
            self._note(piece)
            yield piece
        await self._judge(self._used)

    def _note(self, ready: TextMade | Floats) -> None:
        if not isinstance(ready, TextMade):
            self._lead.give(seconds_of(ready))

    def _holdback(self) -> Holdback:
        patience = self._patience
        keeps_all = self._listening is not None
        return Holdback(self._plausible_seconds, patience.max_held_seconds, keeps_all=keeps_all)

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

    async def _is_right(self, current: _Try) -> bool:
        if self._listening is None:
            return current.holdback.is_released
        if not current.holdback.complaint():
            sound = np.concatenate(current.holdback.held)
            current.heard = await self._listening.listener.hear(sound, self._listening.text)
        return current.heard.is_right

    async def _judge(self, used: _Try) -> None:
        tries = self._max_attempts
        if complaint := used.holdback.complaint():
            often = "" if used.holdback.is_released or tries == 1 else f" in each of {tries} tries"
            self.warning = f"{self.what} {complaint}{often}"
        elif self._listening is not None and not used.heard.is_right:
            text = used.heard.text
            if text is None:
                text = await self._listening.listener.read(np.concatenate(used.holdback.held))
            if wrong := share_wrong(self._listening.text, text):
                share = f"{min(1.0, wrong):.0%} of its words wrong"
                self.warning = f"{self.what} was heard with {share} in the best of {tries} takes"
