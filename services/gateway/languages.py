"""Languages as OpenAI's callers write them, and as the model names them."""

from __future__ import annotations

from collections.abc import Mapping

# What the model was trained to name; dialects go by their own names, e.g. 川渝.
_NAMES: Mapping[str, str] = {"en": "English", "zh": "Chinese"}


def language_name(asked: str) -> str:
    """The model's name of an ISO 639-1 code with or without a region ("en-GB"); any other text as it is."""
    return _NAMES.get(asked.strip().lower().partition("-")[0], asked.strip())
