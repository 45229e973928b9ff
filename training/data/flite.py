"""flite as a speaker: voices made from recordings of real people, with the end of every phone."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from training.data.utterance import Span, Utterance, Voice
from uniaudio.errors import InvalidInputError, StartupError

_TIMEOUT_SECONDS = 30.0
SAMPLE_RATE = 16000


class FliteSpeaker:
    """Speaks by the `flite` command; voices are `slt`, `rms`, `awb`. The voice's rate is honoured."""

    def speak(self, text: str, voice: Voice) -> Utterance:
        """The text in that voice; InvalidInputError where its phones cannot be told apart by word."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "speech.wav"
            stretch = f"duration_stretch={160 / voice.rate:.4f}"
            printed = _run("-voice", voice.variant, "--setf", stretch, "-psdur", "-t", text, "-o", str(path))
            waveform, _ = soundfile.read(path, dtype="float32")
        phones = _phones(printed, len(waveform))
        return Utterance(
            text=text,
            voice=voice,
            waveform=np.asarray(waveform, dtype=np.float32),
            words=_words(text.split(), phones, voice.variant),
            phones=phones,
        )


def _phones(printed: str, num_samples: int) -> tuple[Span, ...]:
    spans, start = [], 0
    for item in printed.split():
        label, end = item.rsplit(":", 1)
        stop = min(round(float(end) * SAMPLE_RATE), num_samples)
        spans.append(Span(label, start, stop))
        start = stop
    return tuple(spans)


def _words(words: list[str], phones: tuple[Span, ...], variant: str) -> tuple[Span, ...]:
    """Spans of the words: each takes as many phones as it has when spoken alone."""
    spoken = [phone for phone in phones if phone.label != "pau"]
    counts = [_num_phones(word, variant) for word in words]
    if sum(counts) != len(spoken):
        raise InvalidInputError(f"the phones of {' '.join(words)!r} do not divide into its words")
    spans, first = [], 0
    for word, count in zip(words, counts, strict=True):
        after = first + count
        end = spoken[after].start if after < len(spoken) else spoken[-1].end
        spans.append(Span(word, spoken[first].start, end))
        first = after
    return tuple(spans)


@functools.cache
def _num_phones(word: str, variant: str) -> int:
    printed = _run("-voice", variant, "-ps", "-t", word, "-o", "none")
    return sum(phone != "pau" for phone in printed.split())


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["flite", *arguments], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        raise StartupError("flite is missing; install it (Debian: apt-get install flite)") from None
    if done.returncode != 0:
        raise StartupError(f"flite failed with status {done.returncode}: {done.stderr.strip()[:500]}")
    return done.stdout
