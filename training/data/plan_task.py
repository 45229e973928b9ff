"""Edits of words as far as their plan: what a recording says, and where the instruction changes it.

A plan needs no target speech, so every recording with a text serves for any number of edits, drawn anew in
each epoch. A few thousand triplets are learnt by heart before a model listens to their sources; these are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from training.data.latents import LatentCorpus
from training.data.sequences import edit_sequence
from training.data.tasks import EpochOrder, PlannedSequence
from training.data.triplets.instructions import word_instruction, wordings
from training.data.triplets.word_edit import WordEdit, Words
from training.data.triplets.wordings import Wording
from uniaudio.errors import InvalidInputError
from uniaudio.llm.text_tokenizer import TextTokenizer

_MAX_WORDS = 3  # that go, and that come
_MIN_WORDS_LEFT = 2
_MAX_DRAWS = 20


class PlanTask:
    """Insertions, deletions and substitutions of up to three words, each as often."""

    def __init__(
        self,
        corpus: LatentCorpus,
        tokenizer: TextTokenizer,
        seed: int,
        *,
        patch_size: int = 5,
        pool: Sequence[Wording] | None = None,
    ) -> None:
        self._corpus, self._tokenizer, self._seed, self._patch_size = corpus, tokenizer, seed, patch_size
        self._pool = wordings() if pool is None else pool
        self._order = EpochOrder(seed, len(corpus), "plan")

    def plan(self, number: int) -> PlannedSequence:
        """One recording, an instruction, and the plan that has to be written."""
        index, rng = self._order.item(number), np.random.default_rng([self._seed, number, 3])
        for _ in range(_MAX_DRAWS):
            other = self._corpus.text(int(rng.integers(len(self._corpus))))
            edit = draw_edit(_words(self._corpus.text(index)), _words(other), rng)
            if edit.old == edit.new:
                continue
            try:
                instruction = word_instruction(edit, self._pool, rng)
            except InvalidInputError:  # no wording names this edit alone
                continue
            return self._planned(index, edit, instruction.text)
        raise InvalidInputError(
            f"recording {index} of the corpus has no place for an edit: {self._corpus.text(index)!r}"
        )

    def _planned(self, index: int, edit: WordEdit, instruction: str) -> PlannedSequence:
        sequence = edit_sequence(
            self._tokenizer,
            instruction=instruction,
            plan_text=edit.reasoning,
            num_source_patches=self._corpus.num_frames(index) // self._patch_size,
            num_target_patches=0,
        )
        return PlannedSequence(sequence, (partial(self._corpus.posterior, index),))


def draw_edit(source: Words, other: Words, rng: np.random.Generator) -> WordEdit:
    """An edit of the words that are said; what comes in is said in `other`."""
    removes, adds = ((True, False), (False, True), (True, True))[rng.integers(3)]
    most = min(_MAX_WORDS, len(source) if adds else len(source) - _MIN_WORDS_LEFT)
    count = int(rng.integers(1, max(most, 1) + 1)) if removes else 0
    first = int(rng.integers(len(source) - count + 1))
    new: Words = ()
    if adds:
        length = int(rng.integers(1, min(_MAX_WORDS, len(other)) + 1))
        start = int(rng.integers(len(other) - length + 1))
        new = other[start : start + length]
    return WordEdit(
        before=source[:first], old=source[first : first + count], new=new, after=source[first + count :]
    )


def _words(text: str) -> Words:
    return tuple(text.split())
