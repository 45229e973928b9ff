"""Safetensors files in memory, with what they say about themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

_LENGTH_BYTES = 8


def read_tensors(content: bytes) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, str]]:
    """The tensors by name, and the metadata; ValueError for what is no such file."""
    try:
        tensors = load(content)
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    # The library gives the metadata of paths alone; that the header is whole is known by now.
    length = int.from_bytes(content[:_LENGTH_BYTES], "little")
    header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
    return tensors, header.get("__metadata__", {})
