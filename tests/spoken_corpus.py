"""A corpus of whistled spelling: every letter is a tone, so that what is said can be learnt in seconds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from training.data.pipeline import AudioBatch, Stretch, batch_of
from training.data.utterance import Span

_LETTERS = "abcde "
_LETTER_SAMPLES = 1600  # 100 ms


class WhistledCorpus:
    """Sentences of three to six letters; the same index gives the same one."""

    def __init__(self, size: int = 24, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._texts = ["".join(rng.choice(list(_LETTERS[:5]), int(rng.integers(3, 7)))) for _ in range(size)]

    def __len__(self) -> int:
        return len(self._texts)

    def text(self, index: int) -> str:
        return self._texts[index]

    def num_samples(self, index: int) -> int:
        # Not a multiple of the hop, so that last frames are partly padding.
        return _LETTER_SAMPLES * len(self._texts[index]) + 100

    def phones(self, index: int) -> tuple[Span, ...]:
        return tuple(
            Span(letter, number * _LETTER_SAMPLES, (number + 1) * _LETTER_SAMPLES)
            for number, letter in enumerate(self._texts[index])
        )

    def load(self, stretches: Sequence[Stretch]) -> AudioBatch:
        return batch_of([self.waveform(s.index, s.start, s.stop) for s in stretches])

    def waveform(self, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        times = np.arange(_LETTER_SAMPLES) / 16000
        tones = [
            0.3 * np.sin(2 * np.pi * 400 * 1.4 ** _LETTERS.index(letter) * times)
            for letter in self._texts[index]
        ]
        return np.concatenate([*tones, np.zeros(100)]).astype(np.float32)[start:stop]
