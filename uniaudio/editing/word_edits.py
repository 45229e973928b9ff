"""Plans of edits of words, from the pieces that a wording names; a language says how it reads the pieces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uniaudio.editing import compose
from uniaudio.editing.phrases import Phrase
from uniaudio.editing.plan import InsertPlace, Plan, TextTarget


@dataclass(frozen=True)
class WordEdits:
    """What the rules of one language end in; None where a piece is not what the rule took it for.

    `content` reads new words, `target` a place in the words that are there.
    """

    content: Callable[[Phrase, str], str | None]
    target: Callable[[Phrase, str], TextTarget | None]

    def delete(self, phrase: Phrase, target: str) -> Plan | None:
        where = self.target(phrase, target)
        return None if where is None else compose.delete(phrase.instruction, where)

    def insert_before(self, phrase: Phrase, words: str, anchor: str) -> Plan | None:
        return self._insert_beside(phrase, words, InsertPlace.BEFORE, anchor)

    def insert_after(self, phrase: Phrase, words: str, anchor: str) -> Plan | None:
        return self._insert_beside(phrase, words, InsertPlace.AFTER, anchor)

    def insert_beginning(self, phrase: Phrase, words: str) -> Plan | None:
        return self._insert_at(phrase, words, InsertPlace.BEGINNING)

    def insert_end(self, phrase: Phrase, words: str) -> Plan | None:
        return self._insert_at(phrase, words, InsertPlace.END)

    def substitute(self, phrase: Phrase, target: str, words: str) -> Plan | None:
        where, new_text = self.target(phrase, target), self.content(phrase, words)
        if where is None or new_text is None:
            return None
        return compose.substitute(phrase.instruction, where, new_text)

    def _insert_beside(self, phrase: Phrase, words: str, place: InsertPlace, anchor: str) -> Plan | None:
        new_text, where = self.content(phrase, words), self.target(phrase, anchor)
        if new_text is None or where is None:
            return None
        return compose.insert(phrase.instruction, new_text, place, where)

    def _insert_at(self, phrase: Phrase, words: str, place: InsertPlace) -> Plan | None:
        new_text = self.content(phrase, words)
        return None if new_text is None else compose.insert(phrase.instruction, new_text, place)
