"""Whether a recording says its words, from how likely every moment of it speaks every letter (CTC).

Where a word is spoken tells the likeliest way through the letters (Viterbi); how well, the likelihood of its letters,
however they are spread over that place (connectionist temporal classification, Graves et al. 2006).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from uniaudio.editing.features import FloatArray
from uniaudio.editing.viterbi import likeliest_path

_BLANK = 0
_NEVER = -1e30


class Spelling:
    """A text's letters, and where and how well a recording speaks them.

    `alphabet` names the columns of what is heard from the second on; the first is "no letter". Characters that it
    lacks are left out.
    """

    def __init__(self, text: str, alphabet: str) -> None:
        column = {letter: index for index, letter in enumerate(alphabet, 1)}
        words = [[column[char] for char in word if char in column] for word in text.casefold().split()]
        self._words = [word for word in words if word]
        self.is_whole = len(self._words) == len(words) > 0 and not any(
            char.isalnum() and char not in column for char in text.casefold()
        )
        """Whether the alphabet has all that is spoken, so that words have the numbers that they have in the text."""
        self._space = [column[" "]] if " " in column else []

    def __len__(self) -> int:
        return len(self._words)

    def num_letters(self, first: int, last: int) -> int:
        """Letters and spaces of the words from `first` and before `last`."""
        return len(self._letters(first, last))

    @property
    def letters(self) -> list[int]:
        """All of it, by column."""
        return self._letters(0, len(self))

    def likelihood(self, heard: FloatArray, first: int, last: int) -> float | None:
        """Of the words from `first` and before `last` in a recording that says the whole text.

        The logarithm of how likely they are said as they should be, and nothing else between the word before and the
        moment halfway to the word after. `heard` are logarithms `(num_frames, 1 + len(alphabet))`; None where there
        are too few frames for the text.
        """
        spikes = self._spikes(heard)
        if not spikes:
            return None
        start = spikes[first - 1][1] if first else 0
        end = len(heard) if last == len(self) else (spikes[last - 1][1] + spikes[last][0] + 1) // 2
        letters = [*(self._space if first else ()), *self._letters(first, last)]
        return float(_likelihoods(heard[start:end], [letters])[0])

    def _spikes(self, heard: FloatArray) -> list[tuple[int, int]]:
        """Where the words are heard, from the first frame that tells a letter to behind the last one."""
        if not self._words or not len(heard):
            return []
        states = _with_blanks(self.letters)
        path, likelihood = likeliest_path(heard[:, states], _may_skip(states))
        if likelihood == -np.inf:
            return []
        spikes: list[tuple[int, int]] = []
        first = 0
        for word in self._words:
            frames = np.flatnonzero((path >= 2 * first + 1) & (path <= 2 * (first + len(word)) - 1))
            spikes.append((int(frames[0]), int(frames[-1]) + 1))
            first += len(word) + len(self._space)
        return spikes

    def _letters(self, first: int, last: int) -> list[int]:
        letters: list[int] = []
        for word in self._words[first:last]:
            letters += [*self._space, *word] if letters else word
        return letters


def likelihoods(heard: FloatArray, spellings: Sequence[Spelling]) -> FloatArray:
    """Logarithms `(num_texts,)` of how likely all of each text, and nothing else, is what was heard."""
    return _likelihoods(heard, [spelling.letters for spelling in spellings])


def _likelihoods(heard: FloatArray, texts: Sequence[Sequence[int]]) -> FloatArray:
    """Of letters, however they are spread over the frames: the forward sum, for all texts at once."""
    ends = np.array([2 * len(letters) for letters in texts])
    states = np.full((len(texts), ends.max() + 1), _BLANK)
    for row, letters, end in zip(states, texts, ends, strict=True):
        row[: end + 1] = _with_blanks(letters)
    skips = _may_skip(states)
    total = np.full(states.shape, _NEVER)
    total[:, :2] = heard[0, states[:, :2]]
    for row in heard[1:, states]:
        total = np.logaddexp.reduce(_ways(total, skips)) + row
    every = np.arange(len(texts))
    out: FloatArray = np.logaddexp(total[every, ends], total[every, ends - 1])
    return out


def _with_blanks(letters: Sequence[int]) -> npt.NDArray[np.int_]:
    states = np.full(2 * len(letters) + 1, _BLANK)
    states[1::2] = letters
    return states


def _may_skip(states: npt.NDArray[np.int_]) -> npt.NDArray[np.bool_]:
    """Which states may follow the one two before: a letter that is not the same again."""
    skips = np.zeros(states.shape, bool)
    skips[..., 3::2] = states[..., 3::2] != states[..., 1:-2:2]
    return skips


def _ways(total: FloatArray, skips: npt.NDArray[np.bool_]) -> FloatArray:
    """Of being in each state after having stayed, gone on, or left a blank out: `(3, ..., num_states)`."""
    ways = np.full((3, *total.shape), _NEVER)
    ways[0] = total
    ways[1, ..., 1:] = total[..., :-1]
    ways[2, ..., 2:] = np.where(skips[..., 2:], total[..., :-2], _NEVER)
    return ways
