"""Text to ids and back, by the checkpoint's own `tokenizer.json` (model specification 6.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer

from uniaudio.errors import CheckpointError, InvalidInputError


def read_tokenizer(directory: Path | str) -> Tokenizer:
    """The `tokenizer.json` of a folder, whatever tokens it has; raises CheckpointError naming the file."""
    path = Path(directory) / "tokenizer.json"
    if not path.is_file():
        raise CheckpointError(f"{path} is missing; the text tokenizer ships beside the weights")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(f"{path} is not a tokenizer file: {error}") from error


class TextTokenizer:
    """A byte-level BPE tokenizer; special tokens are found by name, never by number."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special_ids = {token.content: index for index, token in added.items() if token.special}
        names = sorted(self._special_ids, key=len, reverse=True)
        self._special_pattern = re.compile("|".join(map(re.escape, names)) or r"(?!)")
        self.end_id = self.special_id("<|endoftext|>")
        self.audio_id = self.special_id("<audio>")
        self.audio_patch_id = self.special_id("<audioPatch>")
        self.gen_audio_id = self.special_id("<gen_audio>")

    @classmethod
    def from_directory(cls, directory: Path | str) -> TextTokenizer:
        """Reads `tokenizer.json`; raises CheckpointError naming the file or the token that is absent."""
        return cls(read_tokenizer(directory))

    @property
    def num_ids(self) -> int:
        """One more than the largest id."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def special_ids(self) -> dict[str, int]:
        """Ids of all special tokens by name."""
        return dict(self._special_ids)

    def special_id(self, name: str) -> int:
        """Id of a special token such as `<gen_audio>`; CheckpointError if the file has none."""
        if name not in self._special_ids:
            raise CheckpointError(f"tokenizer.json has no special token {name}; the prompts need it")
        return self._special_ids[name]

    def encode(self, text: str) -> list[int]:
        """Ids of a text, in which special tokens count as such; nothing is added."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, token_ids: Sequence[int], *, skip_special: bool = False) -> str:
        """Text of ids; special tokens are kept unless `skip_special`. Broken bytes become U+FFFD."""
        text: str = self._tokenizer.decode(list(token_ids), skip_special_tokens=skip_special)
        return text

    def refuse_special(self, text: str, field: str) -> None:
        """Raises InvalidInputError if a caller's text holds a special token: it would steer the prompt."""
        found = self._special_pattern.search(text)
        if found is not None:
            raise InvalidInputError(
                f"{field} holds {found.group()!r}, which the model reads as a command; remove it",
                field=field,
                value=found.group(),
                limit="text without special tokens",
                remedy="remove it",
            )
