"""Writes the files of a checkpoint folder: weights in one file or in shards, text tokenizer, JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer
from torch import Tensor

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_END_OF_TEXT = "<|endoftext|>"


def write_weights(
    directory: Path,
    sizes: Mapping[str, int],
    tensor_of: Callable[[str], Tensor],
    max_shard_bytes: int | None = None,
) -> None:
    """Writes every key of `sizes` (bytes), asked for one shard at a time, so that one is held at most.

    Args:
        max_shard_bytes: cuts the weights into shards with an index; None writes one file. A tensor
            that is larger alone gets a shard of its own.
    """
    shards = _cut_into_shards(sorted(sizes.items()), max_shard_bytes)
    weight_map: dict[str, str] = {}
    for number, keys in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors" if max_shard_bytes else SINGLE_FILE
        save_file({key: tensor_of(key) for key in keys}, directory / name, metadata={"format": "pt"})
        (directory / name).chmod(0o644)  # safetensors leaves it readable by the owner alone
        weight_map |= dict.fromkeys(keys, name)
    if max_shard_bytes:
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        write_json(directory / INDEX_FILE, index)


def write_text_tokenizer(directory: Path, tokenizer: Tokenizer) -> None:
    """Writes `tokenizer.json` and the two files that other libraries read beside it."""
    (directory / "tokenizer.json").write_text(tokenizer.to_str(), encoding="utf-8")
    plain = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    named = {
        "bos_token": "<|startoftext|>",
        "cls_token": "[CLS]",
        "eos_token": _END_OF_TEXT,
        "gmask_token": "[gMASK]",
        "pad_token": _END_OF_TEXT,
    }
    added = sorted(tokenizer.get_added_tokens_decoder().items())
    decoder = {str(i): _described(token) for i, token in added}
    write_json(
        directory / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_eos_token": False,
            "added_tokens_decoder": decoder,
            "clean_up_tokenization_spaces": False,
            **named,
            "tokenizer_class": "BailingTokenizer",
        },
    )
    write_json(directory / "special_tokens_map.json", {k: {"content": v, **plain} for k, v in named.items()})


def _described(token: AddedToken) -> dict[str, Any]:
    return {
        "content": token.content,
        "lstrip": token.lstrip,
        "normalized": token.normalized,
        "rstrip": token.rstrip,
        "single_word": token.single_word,
        "special": token.special,
    }


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes a JSON object for people to read."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _cut_into_shards(sizes: list[tuple[str, int]], max_bytes: int | None) -> list[list[str]]:
    shards: list[list[str]] = [[]]
    used = 0
    for key, size in sizes:
        if max_bytes and shards[-1] and used + size > max_bytes:
            shards.append([])
            used = 0
        shards[-1].append(key)
        used += size
    return shards
