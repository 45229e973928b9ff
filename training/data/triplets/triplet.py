"""What one triplet is, on its way from the maker to training or to disk."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data.utterance import Utterance

Waveform = NDArray[np.float32]
Region = tuple[int, int]


class Kind(StrEnum):
    """What is edited; the proxies are caricatures that synthetic voices can give, never the real thing."""

    INSERT = "insert"
    DELETE = "delete"
    SUBSTITUTE = "substitute"
    SPEED = "speed"
    PITCH = "pitch"
    VOLUME = "volume"
    DENOISE = "denoise"
    ADD_SOUND = "add_sound"
    EMOTION_PROXY = "emotion_proxy"
    ACCENT_PROXY = "accent_proxy"
    NONE = "none"

    @property
    def changes_words(self) -> bool:
        """True for the edits that are planned in words before they are spoken."""
        return self in (Kind.INSERT, Kind.DELETE, Kind.SUBSTITUTE)

    @property
    def is_acted(self) -> bool:
        """True for the proxies, which only a synthesiser can speak."""
        return self in (Kind.EMOTION_PROXY, Kind.ACCENT_PROXY)


Method = Literal["splice", "resynth", "dsp", "mix"]
Form = Literal["index", "content", "ends", "value", "free"]


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """What the user says, by which wording."""

    text: str
    form: Form
    template_id: str
    language: Literal["en", "zh"]
    held_out: bool


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is done. `span_words` are words `[i, j)` of the source that go, or (i, i) where words are added.

    `value` is a rate or amplitude factor, or semitones; `name` is a sound, a mood or an accent.
    """

    span_words: tuple[int, int] | None = None
    old: str = ""
    new: str = ""
    value: float | None = None
    unit: Literal["factor", "semitone"] | None = None
    snr_db: float | None = None
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Triplet:
    """Source, instruction, target; waveforms are 16 kHz, in [-1, 1], times are samples.

    `plan_text` is the target's text with the new words fenced; `reasoning` is what the model writes before
    it speaks, in the published form (model specification 6.5); both only where words change. A region is
    where source or target differ from the other: for words that vanish or appear it is empty, at their
    place; None where the whole recording changes, or nothing.
    """

    kind: Kind
    method: Method
    instruction: Instruction
    source: Utterance
    target: Utterance
    edit: Edit
    plan_text: str | None = None
    reasoning: str | None = None
    source_region: Region | None = None
    target_region: Region | None = None
    cuts: tuple[tuple[Utterance, int], ...] = ()  # recordings that were cut, and before which of their words

    def frame_weights(
        self, num_frames: int, hop_length: int, *, weight: float = 3.0, widen_seconds: float = 0.06
    ) -> NDArray[np.float32]:
        """Loss weights of the target's frames `(num_frames,)`: `weight` in the edit, widened, 1 elsewhere."""
        weights = np.ones(num_frames, np.float32)
        if self.target_region is not None:
            margin = widen_seconds * self.target.sample_rate
            first = int((self.target_region[0] - margin) // hop_length)
            last = int(-(-(self.target_region[1] + margin) // hop_length))
            weights[max(0, first) : max(0, last)] = weight
        return weights
