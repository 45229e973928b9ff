"""A text model and an audio tokenizer, each in a folder of its own, as one checkpoint in the released layout."""

from __future__ import annotations

import re

from torch import Tensor

from uniaudio.checkpoint import Checkpoint

_OTHER_ROUTER = re.compile(r"\.mlp\.(?:audio|image)_gate\.weight$")
_Place = tuple[Checkpoint, str]


class JoinedCheckpoints:
    """Tensors by the keys of the whole layout, read from where they lie.

    The text model's keys are those of the whole layout without the leading `model.`, as its own release has them;
    the routers of audio and images are, until they learn, the router of text.
    """

    def __init__(self, text: Checkpoint, tokenizer: Checkpoint) -> None:
        self._text, self._tokenizer = text, tokenizer

    def __contains__(self, key: str) -> bool:
        return self._place(key) is not None

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of a tensor, from the header; KeyError where neither checkpoint has it."""
        checkpoint, own = self._found(key)
        return checkpoint.shape(own)

    def tensor(self, key: str) -> Tensor:
        """The tensor as stored; KeyError where neither checkpoint has it."""
        checkpoint, own = self._found(key)
        return checkpoint.tensor(own)

    def _found(self, key: str) -> _Place:
        place = self._place(key)
        if place is None:
            raise KeyError(key)
        return place

    def _place(self, key: str) -> _Place | None:
        part, _, own = key.partition(".")
        if part == "audio":
            return (self._tokenizer, own) if own in self._tokenizer else None
        if part != "model":
            return None
        for name in (own, _OTHER_ROUTER.sub(".mlp.gate.weight", own)):
            if name in self._text:
                return self._text, name
        return None
