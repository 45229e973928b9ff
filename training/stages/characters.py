"""Letters and bytes as targets: of the teacher's CTC loss, and of the LLM that aligns unified embeddings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from uniaudio.errors import InvalidInputError

_LETTERS = " 'abcdefghijklmnopqrstuvwxyz0123456789"
BLANK = 0
"""CTC's blank."""
END = BEGIN = 0
"""Begins and ends a transcript that is written letter by letter; such a transcript has no blanks."""
NUM_CHARACTERS = len(_LETTERS) + 1
_IDS = {letter: number for number, letter in enumerate(_LETTERS, 1)}


def encode_characters(text: str) -> list[int]:
    """Ids from 1 on; InvalidInputError for anything but lower-case letters, digits, space, apostrophe."""
    try:
        return [_IDS[letter] for letter in text]
    except KeyError as error:
        raise InvalidInputError(
            f"{error.args[0]!r} in {text[:60]!r} is not among {_LETTERS!r}; normalise transcripts first"
        ) from None


def decode_characters(ids: Sequence[int]) -> str:
    """The text of ids; blanks and ends are passed over."""
    return "".join(_LETTERS[i - 1] for i in ids if i)


@dataclass(frozen=True)
class Alphabet:
    """What transcripts are spelled in; ids from 1 to `size - 1`, 0 begins and ends."""

    size: int
    encode: Callable[[str], list[int]]
    decode: Callable[[Sequence[int]], str]


def _bytes_of(text: str) -> list[int]:
    return [byte + 1 for byte in text.encode()]


def _text_of(ids: Sequence[int]) -> str:
    return bytes(i - 1 for i in ids if i).decode(errors="replace")


ALPHABETS = {
    "letters": Alphabet(NUM_CHARACTERS, encode_characters, decode_characters),
    "bytes": Alphabet(257, _bytes_of, _text_of),  # any writing
}


def decode_ctc(ids: Sequence[int]) -> str:
    """The text of the best id of every frame: repetitions are one, blanks nothing."""
    return decode_characters(
        [i for before, i in zip((BLANK, *ids[:-1]), ids, strict=True) if i != before] if ids else []
    )
