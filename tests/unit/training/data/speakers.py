"""A speaker for tests: every word is a chord of its own, so that times are known and words tell apart."""

from __future__ import annotations

import zlib

import numpy as np

from training.data.utterance import Span, Utterance, Voice

VOICE = Voice(name="ada", engine="espeak-ng", language="gmw/en-US", variant="m1")
_LEAD, _TRAIL = 800, 2400


class ToneSpeaker:
    """Speaks at once and exactly; rate changes tempo, pitch changes the tones, `fused` words share a span."""

    def __init__(self, fused=()):
        self.fused = frozenset(fused)
        self.spoken = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        pass

    def speak(self, text, voice):
        self.spoken.append((text, voice))
        pieces, spans, at = [np.zeros(_LEAD)], [], _LEAD
        for word in text.split():
            pieces.append(self._word(word, voice))
            end = at + len(pieces[-1])
            spans.append([word, at, end])
            at = end
        for index in range(1, len(spans)):
            if (spans[index - 1][0], spans[index][0]) in self.fused:
                spans[index][1] = spans[index - 1][1]
                spans[index - 1][2] = spans[index][2]
        waveform = np.concatenate([*pieces, np.zeros(_TRAIL)])
        noise = np.random.default_rng(zlib.crc32(text.encode())).normal(0, 1e-4, waveform.size)
        return Utterance(
            text=text,
            voice=voice,
            waveform=(waveform + noise).astype(np.float32),
            words=tuple(Span(*span) for span in spans),
        )

    @staticmethod
    def _word(word, voice):
        rng = np.random.default_rng(zlib.crc32(word.encode()))
        num_samples = round(rng.integers(2400, 4800) * 160 / voice.rate)
        time = np.arange(num_samples) / 16000
        signal = np.zeros(num_samples)
        for share in (0.0, 0.5):  # two sounds a word
            part = slice(int(share * num_samples), int((share + 0.5) * num_samples))
            for hertz in rng.uniform(200, 5000, 3):
                signal[part] += np.sin(2 * np.pi * hertz * 2 ** ((voice.pitch - 50) / 600) * time[part])
        edge = np.minimum(1.0, np.minimum(np.arange(num_samples), np.arange(num_samples)[::-1]) / 200)
        return 0.1 * signal * edge


class ListGrammar:
    """Sentences of distinct words from a short list."""

    words = (
        *("amber", "birch", "cedar", "delta", "ember", "flint", "grove", "heron"),
        *("ivory", "jade", "kite", "lotus", "maple", "north", "olive", "pearl"),
    )

    def sentence(self, rng):
        return " ".join(rng.permutation(self.words)[: rng.integers(5, 10)])
