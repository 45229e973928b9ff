"""Recordings cut at word boundaries and joined by 10 ms linear crossfades, with the times of their words."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from training.data.utterance import Span, Utterance
from uniaudio.errors import InvalidAudioError

CROSSFADE_MS = 10.0
_HALF = 80  # samples; a crossfade is centred on its cut
GUARD = 960  # 60 ms: sounds blend over word boundaries, and clips fade at their ends
MIN_PIECE = 960


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Samples `[start, end)` of an utterance, in which its words `[first, last)` are spoken."""

    utterance: Utterance
    start: int
    end: int
    first: int
    last: int


def boundary(utterance: Utterance, word: int) -> int:
    """Where word `word` begins; where the last one ends for the number of words."""
    words = utterance.words
    return words[word].start if word < len(words) else words[-1].end


def head(utterance: Utterance, last: int) -> Piece:
    """Everything before word `last`, from the first sample on."""
    return Piece(utterance=utterance, start=0, end=boundary(utterance, last), first=0, last=last)


def tail(utterance: Utterance, first: int) -> Piece:
    """Everything from word `first` to the last sample."""
    size, count = utterance.waveform.size, len(utterance.words)
    return Piece(utterance=utterance, start=boundary(utterance, first), end=size, first=first, last=count)


def middle(utterance: Utterance, first: int, last: int) -> Piece:
    """Words `[first, last)` alone."""
    start, end = boundary(utterance, first), boundary(utterance, last)
    return Piece(utterance=utterance, start=start, end=end, first=first, last=last)


def can_cut(utterance: Utterance, word: int) -> bool:
    """Whether a cut before this word touches no fused group and lies 60 ms inside, or at an end of speech."""
    words = utterance.words
    if not 0 <= word <= len(words):
        return False
    if word in (0, len(words)):
        return True
    at = words[word].start
    if at <= words[word - 1].start:
        return False
    return GUARD <= at <= utterance.waveform.size - GUARD


def join(pieces: Sequence[Piece]) -> Utterance:
    """One utterance of the pieces' words, exactly as long as they are together; outside joins bit-equal.

    Raises InvalidAudioError where nothing is left.
    """
    pieces = [piece for piece in pieces if piece.end > piece.start]
    total = sum(piece.end - piece.start for piece in pieces)
    if total == 0:
        raise InvalidAudioError("the pieces to join hold 0 samples: keep at least one word")
    joined = np.zeros(total + 2 * _HALF, np.float32)
    words: list[Span] = []
    at = 0
    for number, piece in enumerate(pieces):
        extended = _extended(piece, first=number == 0, last=number == len(pieces) - 1)
        joined[at : at + extended.size] += extended
        shift = at - piece.start
        words += [
            Span(word.label, word.start + shift, word.end + shift)
            for word in piece.utterance.words[piece.first : piece.last]
        ]
        at += piece.end - piece.start
    waveform = joined[_HALF : _HALF + total]
    return replace(
        pieces[0].utterance,
        text=" ".join(word.label for word in words),
        waveform=np.clip(waveform, -1.0, 1.0),
        words=tuple(words),
        phones=(),
    )


def _extended(piece: Piece, *, first: bool, last: bool) -> NDArray[np.float32]:
    """The piece with half a crossfade of its surroundings on each side, ramps applied; zeros beyond the clip.

    At joins a ramp is centred on the cut. At an outer edge of the result it lies inside the piece, and a
    clip's own beginning and end stay as they are.
    """
    waveform = piece.utterance.waveform
    start, end = piece.start - _HALF, piece.end + _HALF
    inside = waveform[max(0, start) : min(waveform.size, end)]
    extended = np.pad(inside, (max(0, -start), max(0, end - waveform.size))).astype(np.float32)
    ramp = ((np.arange(2 * _HALF) + 0.5) / (2 * _HALF)).astype(np.float32)
    silence = np.zeros(_HALF, np.float32)
    if not first:
        extended[: 2 * _HALF] *= ramp
    elif piece.start > 0:
        extended[: 3 * _HALF] *= np.concatenate([silence, ramp])
    if not last:
        extended[-2 * _HALF :] *= ramp[::-1]
    elif piece.end < waveform.size:
        extended[-3 * _HALF :] *= np.concatenate([ramp[::-1], silence])
    return extended


def group_edges(utterance: Utterance) -> list[int]:
    """Words before which a cut may be made, both ends among them."""
    return [word for word in range(len(utterance.words) + 1) if can_cut(utterance, word)]


def spans(utterance: Utterance, max_words: int) -> list[tuple[int, int]]:
    """Word spans `[i, j)` of at most `max_words` between cuts, at least 60 ms long."""
    edges = group_edges(utterance)
    return [
        (i, j)
        for i, j in itertools.combinations(edges, 2)
        if j - i <= max_words and boundary(utterance, j) - boundary(utterance, i) >= MIN_PIECE
    ]
