"""espeak-ng as a speaker with sample-exact word and phone times (evaluation facts 4.5)."""

from __future__ import annotations

import json
import re
import select
import subprocess
import sys
from types import TracebackType
from typing import Any, Protocol

import numpy as np
import soxr

from training.data.drawn_voices import traits_of
from training.data.utterance import Span, Utterance, Voice
from uniaudio.errors import InvalidInputError, StartupError

SAMPLE_RATE = 16000
_TIMEOUT_SECONDS = 30.0
_MAX_TEXT = 2000
_WORD = re.compile(r"[a-z0-9']+")
_PAUSES = frozenset({"_", "_:", "_!", "_|", ""})


class Speaker(Protocol):
    """Anything that speaks a text in a voice; the same arguments give the same samples."""

    def speak(self, text: str, voice: Voice) -> Utterance:
        """The spoken text, with the times of its words."""


class EspeakSpeaker:
    """Speaks through a helper process, which it starts when first needed and ends on `close`."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> EspeakSpeaker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the helper."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None and process.stdout is not None:
            process.stdin.close()
            process.stdout.close()
            process.wait(_TIMEOUT_SECONDS)

    def speak(self, text: str, voice: Voice) -> Utterance:
        """The text in that voice at 16 kHz, bit-exact for the same arguments.

        Raises InvalidInputError for a text that is empty, too long or holds a word that is not spoken,
        or an unknown voice; StartupError where espeak-ng is missing or stops answering.
        """
        tokens = list(_WORD.finditer(text.lower()))
        if not tokens or len(text) > _MAX_TEXT:
            raise InvalidInputError(
                f"a text of {len(text)} characters and {len(tokens)} words cannot be spoken; give 1 to "
                f"{_MAX_TEXT} characters with at least one word"
            )
        header, audio = self._ask(
            {
                "text": text,
                "voice": f"{voice.language}+{voice.variant}" if voice.variant else voice.language,
                "variant": voice.variant,
                "traits": traits_of(voice.variant),
                "rate": voice.rate,
                "pitch": voice.pitch,
                "range": voice.pitch_range,
            }
        )
        native = np.frombuffer(audio, dtype="<i2").astype(np.float32) / 32768
        waveform = soxr.resample(native, header["sample_rate"], SAMPLE_RATE).astype(np.float32)
        scale = SAMPLE_RATE / header["sample_rate"]
        events = [
            (kind, round(at * scale), position, name) for kind, at, position, _, name in header["events"]
        ]
        phones, speech_end = _phones(events, len(waveform))
        return Utterance(
            text=text,
            voice=voice,
            waveform=waveform,
            words=_words(tokens, events, speech_end),
            phones=phones,
            sample_rate=SAMPLE_RATE,
        )

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "training.data.espeak_helper"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
            _checked(self._read_header())
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        header = self._read_header()
        if "error" in header:
            raise InvalidInputError(header["error"])
        return header, self._process.stdout.read(header["num_bytes"])

    def _read_header(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout
        # Whole answers are read, so nothing lies in the buffer when the next one is awaited.
        ready = select.select([out], [], [], _TIMEOUT_SECONDS)[0]
        line = out.readline() if ready else b""
        if not line:
            self._process.kill()
            raise StartupError(
                f"espeak-ng's helper process gave no answer within {_TIMEOUT_SECONDS:g} s; try again"
            )
        header: dict[str, Any] = json.loads(line)
        return header


def _checked(header: dict[str, Any]) -> None:
    if "error" in header:
        raise StartupError(header["error"])


def _phones(events: list[tuple[str, int, int, str]], num_samples: int) -> tuple[tuple[Span, ...], int]:
    """Phones with their ends, and where the last one ends: before the closing pause."""
    marks = [(at, name) for kind, at, _, name in events if kind == "phone"]
    ends = [at for at, _ in marks[1:]] + [num_samples]
    spans = [Span(name, at, end) for (at, name), end in zip(marks, ends, strict=True) if end > at]
    spoken = [span for span in spans if span.label not in _PAUSES]
    return tuple(spans), spoken[-1].end if spoken else num_samples


def _words(
    tokens: list[re.Match[str]], events: list[tuple[str, int, int, str]], speech_end: int
) -> tuple[Span, ...]:
    """One span per word; a word without an event of its own was fused with the one before."""
    starts: dict[int, int] = {}
    for kind, at, position, _ in events:
        if kind == "word":
            owner = next(
                (i for i, token in enumerate(tokens) if token.start() <= position - 1 < token.end()), None
            )
            if owner is not None:
                starts.setdefault(owner, at)
    if not starts or min(starts) != 0:
        starts[0] = 0
    known = sorted(starts)
    ends = {
        index: starts[known[rank + 1]] if rank + 1 < len(known) else speech_end
        for rank, index in enumerate(known)
    }
    spans, last = [], known[0]
    for index, token in enumerate(tokens):
        last = index if index in starts else last
        spans.append(Span(token.group(), starts[last], max(ends[last], starts[last])))
    return tuple(spans)
