"""Text as it is written to sentences as they are spoken."""

from __future__ import annotations

from services.orchestrator.domain import Normalization
from uniaudio.text import reference_chinese
from uniaudio.text.normalize import normalize
from uniaudio.text.sentences import split_sentences


def prepare_sentences(text: str, normalization: Normalization, max_characters: int) -> list[str]:
    """The sentences of a text, normalised; those with nothing to say are left out."""
    sentences = split_sentences(text, max_characters)
    if normalization is Normalization.AUTO:
        sentences = [normalize(sentence) for sentence in sentences]
    elif normalization is Normalization.REFERENCE_CHINESE:
        sentences = [reference_chinese.normalize(sentence) for sentence in sentences]
    return [sentence for sentence in sentences if any(map(str.isalnum, sentence))]
