"""Live sound into utterances: cut where the speaker pauses, or after twenty seconds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from services.orchestrator.domain import Floats
from services.orchestrator.windows import FRAME_SAMPLES, cut_at_pauses, frame_levels
from uniaudio.audio.limits import MODEL_SAMPLE_RATE

_QUIETEST_SPEECH = 0.003
_ABOVE_NOISE = 3.0
# The noise floor follows at once when it gets quieter, and doubles in some three seconds when louder. A
# stream may begin in the middle of a word, so silence is assumed at first.
_FLOOR_GROWTH = 1.005
_FIRST_FLOOR = 0.001
_SHORT_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, kw_only=True)
class UtteranceConfig:
    """When an utterance begins and ends."""

    pause_seconds: float = 0.6
    max_seconds: float = 20.0
    lead_seconds: float = 0.2
    min_seconds: float = 0.2
    """Less speech than this is a click."""

    def within(self, seconds: float) -> UtteranceConfig:
        """For a model that reads stretches up to so long well, unless that is 0: at shorter pauses."""
        if not seconds:
            return self
        return replace(
            self,
            pause_seconds=min(self.pause_seconds, _SHORT_PAUSE_SECONDS),
            max_seconds=min(self.max_seconds, seconds),
        )


@dataclass(frozen=True)
class Utterance:
    """A stretch of live sound: its first second in the stream, and its waveform `(num_samples,)`."""

    start_seconds: float
    waveform: Floats


class UtteranceCutter:
    """Takes 16 kHz samples of any number and gives utterances; keeps at most one of them."""

    def __init__(self, config: UtteranceConfig | None = None) -> None:
        self._config = config or UtteranceConfig()
        self._samples = np.zeros(0, np.float32)
        self._start = 0  # of `_samples`, in the stream
        self._num_judged = 0  # samples of `_samples` whose loudness is known
        self._num_speech = 0
        self._num_quiet = 0
        self._floor = _FIRST_FLOOR

    def feed(self, samples: Floats) -> list[Utterance]:
        """The utterances that ended with these samples `(num_samples,)`."""
        self._samples = np.concatenate([self._samples, samples])
        ended = []
        while (utterance := self._judge()) is not None:
            ended.append(utterance)
        return ended

    def current(self) -> Utterance | None:
        """What there is of the utterance that is being spoken, if one is."""
        if self._num_speech < self._config.min_seconds * MODEL_SAMPLE_RATE:
            return None
        return Utterance(self._start / MODEL_SAMPLE_RATE, self._samples.copy())

    def finish(self) -> Utterance | None:
        """The last utterance, if one was being spoken."""
        utterance = self.current()
        self._drop(len(self._samples))
        return utterance

    def _judge(self) -> Utterance | None:
        """Looks at whole frames one by one; returns at the end of an utterance, or None when none is left."""
        levels = frame_levels(self._samples[self._num_judged :])
        for level in levels.tolist():
            self._num_judged += FRAME_SAMPLES
            self._floor = min(self._floor * _FLOOR_GROWTH, max(level, 1e-6))
            if level > max(_QUIETEST_SPEECH, _ABOVE_NOISE * self._floor):
                self._num_speech, self._num_quiet = self._num_speech + FRAME_SAMPLES, 0
            else:
                self._num_quiet += FRAME_SAMPLES
            if self._num_speech == 0:
                self._keep_lead()
            elif self._num_quiet >= self._config.pause_seconds * MODEL_SAMPLE_RATE:
                utterance = self.current() if self._is_speech() else None
                utterance = utterance and Utterance(
                    utterance.start_seconds, utterance.waveform[: self._num_judged]
                )
                self._drop(self._num_judged)
                if utterance is not None:
                    return utterance
                return self._judge()
            elif self._num_judged >= self._config.max_seconds * MODEL_SAMPLE_RATE:
                return self._cut()
        return None

    def _is_speech(self) -> bool:
        return self._num_speech >= self._config.min_seconds * MODEL_SAMPLE_RATE

    def _keep_lead(self) -> None:
        self._drop(max(0, self._num_judged - int(self._config.lead_seconds * MODEL_SAMPLE_RATE)))

    def _cut(self) -> Utterance:
        """Ends an utterance that goes on and on at its quietest moment; what follows begins the next."""
        heard = self._samples[: self._num_judged]
        _, end = cut_at_pauses(heard, len(heard) / MODEL_SAMPLE_RATE * 0.999)[0]
        utterance = Utterance(self._start / MODEL_SAMPLE_RATE, heard[:end].copy())
        rest = self._num_judged - end
        self._drop(end)
        # The rest was judged as part of a running utterance; it still is one.
        self._num_judged = rest
        self._num_speech = rest
        return utterance

    def _drop(self, num_samples: int) -> None:
        self._samples = self._samples[num_samples:]
        self._start += num_samples
        self._num_judged = max(0, self._num_judged - num_samples)
        if num_samples and self._num_judged == 0:
            self._num_speech = self._num_quiet = 0
