"""The tokenizer's letter ear, where the model has one: how likely a recording says a text, letter by letter.

It knows no words, so it is not led by what would have made sense, as the language model is (docs/adr/0010).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import numpy as np

from services.orchestrator.clients import Tokenizer
from services.orchestrator.domain import Floats
from services.orchestrator.recordings import in_thread
from services.orchestrator.stages import all_of
from uniaudio.editing.spelling import Spelling, likelihoods

_KNOWN_SECONDS = 30.0
_MAX_FRAMES = 3_000
_MAX_LETTERS = 1_500
"""What is aligned takes memory and time by frames times letters."""

Surprise = Callable[[Sequence[str]], list[float]]
"""Texts to nats by which each is a surprise; works for a while, so call it in a thread."""
WordRange = tuple[int, int]
"""Words of a text, by number: from, and up to."""


class Ear:
    """Hears recordings."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._alphabet, self._asked_at = "", -math.inf

    async def doubt(self, sound: Floats, text: str, words: WordRange | None = None) -> float | None:
        """The mean surprise at a letter of the text, or of those words of it, in nats; of a waveform `(num_samples,)`.

        None where there is no ear for the text, or the recording is too long, or too short for it.
        """
        (spelling,) = await self._spell_out([text]) or (None,)
        if spelling is None:
            return None
        latents = await self._tokenizer.encode(sound)
        if len(latents) > _MAX_FRAMES:
            return None
        heard = await self._tokenizer.spell(latents)
        first, last = words or (0, len(spelling))
        likelihood = await in_thread(lambda _: spelling.likelihood(heard, first, last))
        return None if likelihood is None else -likelihood / spelling.num_letters(first, last)

    async def surprise(self, recordings: Sequence[Floats], texts: Sequence[str]) -> Surprise | None:
        """Tells how surprising texts are, by the mean over several ways of one recording.

        `recordings` are latents `(num_frames, latent_dim)`. None where there is no ear for all of these texts.
        """
        if max(map(len, recordings)) > _MAX_FRAMES or await self._spell_out(texts) is None:
            return None
        alphabet = self._alphabet
        heard = await all_of(*(self._tokenizer.spell(latents) for latents in recordings))

        def mean(texts: Sequence[str]) -> list[float]:
            spellings = [Spelling(text, alphabet) for text in texts]
            nats: list[float] = np.mean([-likelihoods(one, spellings) for one in heard], axis=0).tolist()
            return nats

        return mean

    async def _spell_out(self, texts: Sequence[str]) -> list[Spelling] | None:
        if max(map(len, texts)) > _MAX_LETTERS:
            return None
        alphabet = await self._letters()
        spellings = [Spelling(text, alphabet) for text in texts] if alphabet else []
        return spellings if spellings and all(spelling.is_whole for spelling in spellings) else None

    async def _letters(self) -> str:
        """The alphabet, asked once in a while: another model may have come."""
        if time.monotonic() > self._asked_at + _KNOWN_SECONDS:
            self._alphabet = (await self._tokenizer.model()).alphabet
            self._asked_at = time.monotonic()
        return self._alphabet
