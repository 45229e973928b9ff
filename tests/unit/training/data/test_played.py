"""Speech played faster and slower is other people's speech."""

from __future__ import annotations

import numpy as np

from training.data.played import PlayedCorpus
from training.data.utterance import Span, Utterance, Voice

RATE = 16000


class Tones:
    """Two seconds of 400 Hz, with a word in the second half."""

    def __len__(self) -> int:
        return 3

    def utterance(self, index: int) -> Utterance:
        time = np.arange(2 * RATE) / RATE
        return Utterance(
            text="oh",
            voice=Voice(name="us-f1", engine="espeak-ng", language="gmw/en-US"),
            waveform=(0.5 * np.sin(2 * np.pi * 400 * time)).astype(np.float32),
            words=(Span("oh", RATE, 2 * RATE),),
        )


def test_it_sounds_higher_and_ends_sooner() -> None:
    faster = PlayedCorpus(Tones(), (0.8, 1.25)).utterance(1)
    assert len(faster.waveform) == round(2 * RATE / 1.25)
    strongest = np.abs(np.fft.rfft(faster.waveform)).argmax() * RATE / len(faster.waveform)
    assert abs(strongest - 500) < 1
    assert faster.words == (Span("oh", round(RATE / 1.25), round(2 * RATE / 1.25)),)


def test_each_factor_makes_another_voice_in_turn() -> None:
    corpus = PlayedCorpus(Tones(), (0.8, 1.25))
    names = [corpus.utterance(index).voice.name for index in range(len(corpus))]
    assert names == ["us-f1@0.8", "us-f1@1.25", "us-f1@0.8"]
