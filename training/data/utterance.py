"""A spoken sentence with the times of its words and phones: what every source of data gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Span:
    """A word or a phone, and where it is spoken, in samples."""

    label: str
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class Voice:
    """Who speaks. Two voices with one `name` are the same person to a listener.

    `engine` is "espeak-ng", "flite" or "recording"; `rate` is words a minute, `pitch` and `pitch_range` are 0 to 99.
    """

    name: str
    engine: str
    language: str
    variant: str = ""
    rate: int = 160
    pitch: int = 50
    pitch_range: int = 50


@dataclass(frozen=True, kw_only=True)
class Utterance:
    """`waveform` `(num_samples,)`, float32 in [-1, 1], at `sample_rate`.

    `words` holds one span per word of `text` (lower case, no punctuation), in order, contiguous where the
    speaker does not pause: a word ends where the next begins. Words that the synthesiser fused into one
    share a span. `phones` are the synthesiser's own names, perhaps empty. `recording` is the id of the manifest's
    row that it was read from, empty for what was synthesised.
    """

    text: str
    voice: Voice
    waveform: NDArray[np.float32]
    words: tuple[Span, ...]
    phones: tuple[Span, ...] = ()
    sample_rate: int = 16000
    language: str = "English"
    recording: str = ""
