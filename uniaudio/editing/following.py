"""When each character of a text is spoken, from how likely every moment of a recording speaks it.

The cheapest way through the text, one character after the other with pauses between words, as in forced alignment
(Viterbi). The likelihoods are a language model's that names the letter of the patch to come (`engine.request.Follow`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from uniaudio.editing.features import FloatArray
from uniaudio.editing.viterbi import likeliest_path

# How likely a frame without speech is taken to be: between a letter that is spoken and one that is not.
_PAUSE = -4.0
# What a cut at an end of the text keeps of the sound there.
_MARGIN_FRAMES = 2


@dataclass(frozen=True)
class FollowedText:
    """Where the characters of `text` are spoken.

    `starts` and `ends`, `(num_characters,)`, are frames; what is not spoken, such as a space, has neither length
    nor meaning. `likelihood` is the mean log-probability of the frames that speak: near 0 where text and sound agree.
    """

    text: str
    num_frames: int
    starts: npt.NDArray[np.int_]
    ends: npt.NDArray[np.int_]
    likelihood: float

    def cut(self, index: int) -> float:
        """The frame, in parts, between what is spoken before the character at `index` and from it on."""
        before = [i for i in range(index) if _is_spoken(self.text[i])]
        after = [i for i in range(index, len(self.text)) if _is_spoken(self.text[i])]
        if not before:
            return max(0.0, float(self.starts[after[0]]) - _MARGIN_FRAMES)
        if not after:
            return min(float(self.num_frames), float(self.ends[before[-1]]) + _MARGIN_FRAMES)
        return (float(self.ends[before[-1]]) + float(self.starts[after[0]])) / 2


def by_frame(shifted: Sequence[FloatArray], num_frames: int) -> FloatArray:
    """One row a frame, `(num_frames, num_characters)`, from one a patch.

    `shifted[s]` `(num_patches, num_characters)` tells of the patches of a recording without its first s frames; there
    are as many as a patch has frames. A patch's row stands for its middle.
    """
    size = len(shifted)
    known = {
        shift + size * patch + size // 2: row
        for shift, rows in enumerate(shifted)
        for patch, row in enumerate(rows)
    }
    frames = np.array(sorted(known))
    nearest = np.abs(np.arange(num_frames)[:, None] - frames[None]).argmin(axis=1)
    return np.stack([known[int(frame)] for frame in frames[nearest]])


def is_followable(text: str) -> bool:
    """Whether anything of it is spoken."""
    return any(_is_spoken(char) for char in text)


def follow(log_probabilities: FloatArray, text: str) -> FollowedText:
    """The likeliest way of `log_probabilities` `(num_frames, len(text))` through the text."""
    states = _states(text)
    emitted = np.full((len(log_probabilities), len(states)), _PAUSE, np.float32)
    spoken = [place for place, char in enumerate(states) if char >= 0]
    emitted[:, spoken] = log_probabilities[:, [states[place] for place in spoken]]
    path, _ = likeliest_path(emitted, np.ones(len(states), bool))
    starts, ends = np.zeros(len(text), int), np.zeros(len(text), int)
    for place in spoken:
        starts[states[place]] = np.searchsorted(path, place, "left")
        ends[states[place]] = np.searchsorted(path, place, "right")
    speaks = np.isin(path, spoken)
    chosen = emitted[np.arange(len(path)), path][speaks]
    likelihood = float(chosen.mean()) if chosen.size else float("-inf")
    return FollowedText(text, len(path), starts, ends, likelihood)


def _states(text: str) -> list[int]:
    """Characters by their place in the text, -1 for the pause that may come before and after every word."""
    states = [-1]
    for index, char in enumerate(text):
        if _is_spoken(char):
            states.append(index)
        elif states[-1] != -1:
            states.append(-1)
    return states if states[-1] == -1 else [*states, -1]


def _is_spoken(char: str) -> bool:
    return char.isalnum() or char in "'’"
