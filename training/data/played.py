"""A corpus played faster and slower: pitch, formants and pace of people that no synthesiser has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import soxr

from training.data.latents import UtteranceSource
from training.data.utterance import Span, Utterance


class PlayedCorpus:
    """The utterances of `corpus`, each at one of `factors` in turn: at 1.25 a quarter faster and higher.

    A voice at another speed is another voice, so `us-f1` at 1.25 is called `us-f1@1.25`.
    """

    def __init__(self, corpus: UtteranceSource, factors: Sequence[float]) -> None:
        self._corpus, self._factors = corpus, tuple(factors)

    def __len__(self) -> int:
        return len(self._corpus)

    def utterance(self, index: int) -> Utterance:
        """One utterance with its words' times as they are played."""
        factor = self._factors[index % len(self._factors)]
        spoken = self._corpus.utterance(index)
        rate = spoken.sample_rate
        waveform = soxr.resample(spoken.waveform, rate * factor, rate).astype(np.float32)
        return replace(
            spoken,
            voice=replace(spoken.voice, name=f"{spoken.voice.name}@{factor:g}"),
            waveform=np.clip(waveform, -1, 1),
            words=_sooner(spoken.words, factor),
            phones=_sooner(spoken.phones, factor),
        )


def _sooner(spans: Sequence[Span], factor: float) -> tuple[Span, ...]:
    return tuple(Span(s.label, round(s.start / factor), round(s.end / factor)) for s in spans)
