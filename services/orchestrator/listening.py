"""How far a sound is from saying what it should: by the letter ear, or else by what the model reads in it."""

from __future__ import annotations

from dataclasses import dataclass

from services.orchestrator.clients import Tokenizer
from services.orchestrator.domain import Floats
from services.orchestrator.ear import Ear, WordRange
from services.orchestrator.heard_words import share_wrong, units_of
from services.orchestrator.stages import stage
from services.orchestrator.transcribe import Hints, Transcriber

_SURE = 0.3
"""Doubt below which a sound is taken for right (docs/nano-log.md)."""


@dataclass(frozen=True)
class Heard:
    """The less `doubt` the better; `text` is what was read, where it was."""

    doubt: float
    is_right: bool
    text: str | None = None


class Listener:
    """Judges takes."""

    def __init__(self, tokenizer: Tokenizer, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self._ear = Ear(tokenizer)

    async def hear(self, sound: Floats, text: str, words: WordRange | None = None) -> Heard:
        """How surely a waveform `(num_samples,)` says the text; with `words`, how surely those of it."""
        with stage("listen"):
            if not units_of(text):  # nobody knows what it should say
                return Heard(0.0, True)
            doubt = await self._ear.doubt(sound, text, words)
            if doubt is not None:
                return Heard(doubt, doubt <= _SURE)
            heard = (await self._transcriber.read(sound, Hints())).text
            wrong = share_wrong(text, heard)
            return Heard(wrong, wrong == 0, heard)

    async def read(self, sound: Floats) -> str:
        """What the model reads in it, in as many ways as it advises."""
        return (await self._transcriber.read(sound, Hints(), thorough=True)).text
