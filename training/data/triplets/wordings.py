"""How people say edits. The published forms come first, our own free ones after; every third is held out.

A wording is a format string. Word edits know {w} new words, {x} words of the source, {i} and {j} positions
from 1, {n} how many; sounds know {f} a factor, {p} percent, {s} semitones with a sign, {semitones} without.
Wordings that are held out are never trained on: they test understanding of free wording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from training.data.triplets import wordings_zh
from training.data.triplets.triplet import Form, Kind

# What a wording needs to be true: where the words stand, how many there are, which way a value goes.
Need = Literal["before", "after", "beginning", "end", "one", "many", "first", "last", "up", "down", ""]
# kind, form, need, wordings to train on, wordings held out; a published wording is given as `{...}` fields.
Table = tuple[tuple[str, Form, Need, tuple[str, ...], tuple[str, ...]], ...]


@dataclass(frozen=True, kw_only=True)
class Wording:
    """One way to say an edit."""

    id: str
    kind: Kind
    form: Form
    need: Need
    text: str
    language: Literal["en", "zh"]
    held_out: bool


_ENGLISH: Table = (
    ("insert", "index", "before",
     ("insert '{w}' before the character or word at index {i}", "Put '{w}' in front of word {i}.",
      "add '{w}' before word number {i}"),
     ("Say '{w}' right before the word at position {i}.",)),
    ("insert", "index", "after",
     ("insert '{w}' after the character or word at index {i}", "Say '{w}' after word {i}.",
      "add '{w}' right after word number {i}"),
     ("after word {i}, insert '{w}'",)),
    ("insert", "content", "before",
     ("insert '{w}' before the character or word '{x}'", "Put '{w}' in front of '{x}'.",
      "say '{w}' right before '{x}'"),
     ("Before '{x}', add '{w}'.",)),
    ("insert", "content", "after",
     ("insert '{w}' after the character or word '{x}'", "Say '{w}' right after '{x}'.",
      "add '{w}' just after '{x}'", "put '{w}' behind '{x}'"),
     ("After '{x}', say '{w}'.", "Place '{w}' directly after '{x}'.")),
    ("insert", "ends", "beginning",
     ("insert '{w}' at the beginning", "Open with '{w}'.", "start the sentence with '{w}'"),
     ("Begin with '{w}'.",)),
    ("insert", "ends", "end",
     ("insert '{w}' at the end", "Finish with '{w}'.", "append '{w}'"),
     ("End the sentence with '{w}'.",)),
    ("delete", "index", "many",
     ("delete the characters or words from index {i} to index {j}", "Drop words {i} through {j}.",
      "remove words {i} to {j}"),
     ("cut out words {i} to {j}",)),
    ("delete", "index", "one",
     ("delete the character or word at index {i}", "Remove word {i}.", "drop word number {i}"),
     ("leave out word {i}",)),
    ("delete", "content", "",
     ("delete '{x}'", "Take out '{x}'.", "remove '{x}'", "don't say '{x}'"),
     ("Cut '{x}'.", "Leave out '{x}'.")),
    ("delete", "ends", "first",
     ("Delete the first {n} words", "remove the first {n} words"), ("Drop the first {n} words.",)),
    ("delete", "ends", "last",
     ("Remove the last {n} words.", "delete the last {n} words"), ("cut out the last {n} words",)),
    ("substitute", "index", "many",
     ("substitute the characters or words from index {i} to index {j} with '{w}'",
      "Say '{w}' in place of words {i} to {j}.", "replace words {i} to {j} with '{w}'"),
     ("Put '{w}' in place of words {i} to {j}.",)),
    ("substitute", "index", "one",
     ("substitute the character or word at index {i} with '{w}'", "Replace word {i} with '{w}'.",
      "say '{w}' instead of word {i}"),
     ("change word {i} to '{w}'",)),
    ("substitute", "content", "",
     ("substitute '{x}' with '{w}'", "Swap '{x}' for '{w}'.", "replace '{x}' with '{w}'",
      "change '{x}' to '{w}'", "say '{w}' instead of '{x}'"),
     ("Use '{w}' in place of '{x}'.", "Instead of '{x}', say '{w}'.")),
    ("substitute", "ends", "first",
     ("Replace the first {n} words with '{w}'.", "substitute the first {n} words with '{w}'"),
     ("Swap the first {n} words for '{w}'.",)),
    ("substitute", "ends", "last",
     ("Replace the last {n} words with '{w}'.", "substitute the last {n} words with '{w}'"),
     ("Say '{w}' instead of the last {n} words.",)),
    ("speed", "value", "",
     ("adjusts the speed to {f}", "Play it at {f} times the speed.", "set the speed to {f}",
      "change the tempo to {f}"),
     ("Speak at {f}x speed.", "adjust the pace to {f}")),
    ("speed", "value", "up", ("make it {p}% faster", "speed it up by {p}%"), ("Talk {p}% faster.",)),
    ("speed", "value", "down", ("make it {p}% slower", "slow it down by {p}%"), ("Talk {p}% slower.",)),
    ("pitch", "value", "",
     ("shifts the pitch by {s} steps", "shift the pitch by {s} semitones", "change the pitch by {s} steps"),
     ("transpose it by {s} semitones",)),
    ("pitch", "value", "up", ("Raise it by {semitones}.", "raise the pitch by {semitones}"),
     ("Make the voice {semitones} higher.",)),
    ("pitch", "value", "down", ("Lower it by {semitones}.", "lower the pitch by {semitones}"),
     ("Make the voice {semitones} lower.",)),
    ("volume", "value", "",
     ("adjusts the volume to {f}", "Make it {f} times as loud.", "set the volume to {f}"),
     ("change the loudness to {f}",)),
    ("volume", "value", "up", ("make it {p}% louder", "increase the volume by {p}%"),
     ("Turn the volume up by {p}%.",)),
    ("volume", "value", "down", ("make it {p}% quieter", "reduce the volume by {p}%"),
     ("Turn the volume down by {p}%.",)),
    ("denoise", "free", "",
     ("denoise the audio", "Clean up the noise.", "remove the background noise", "get rid of the noise",
      "reduce the noise"),
     ("Filter out the noise.", "noise reduction")),
    ("add_sound", "free", "",
     ("add {name} to audio", "Put {name} in the background.", "add the sound of {name} to the background",
      "mix {name} into the recording"),
     ("Play {name} in the background.", "overlay some background {name}")),
    ("emotion_proxy", "free", "",
     ("change the emotion to {name} mood", "Say it in a {name} mood.", "make it sound {name}",
      "change the mood to {name}"),
     ("Read it with a {name} feeling.", "Deliver it with a {name} mood.")),
    ("accent_proxy", "free", "",
     ("change the accent of the speech to {name}", "Say it with a {name} accent.", "switch the accent to {name}"),
     ("Use a {name} accent.",)),
    ("none", "free", "",
     ("keep the audio as it is", "Leave it as it is.", "Change nothing.", "do not change anything"),
     ("Leave everything as it was.", "no changes, please")),
)  # fmt: skip


def _read(table: Table, language: Literal["en", "zh"]) -> list[Wording]:
    return [
        Wording(
            id=f"{language}-{kind}-{form}-{need or 'any'}-{number}", kind=Kind(kind), form=form, need=need,
            text=text, language=language, held_out=number >= len(trained),
        )
        for kind, form, need, trained, held_out in table
        for number, text in enumerate((*trained, *held_out))
    ]  # fmt: skip


WORDINGS: tuple[Wording, ...] = (*_read(_ENGLISH, "en"), *_read(wordings_zh.TABLE, "zh"))
