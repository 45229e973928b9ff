"""Trained weights as a checkpoint folder in the released layout, and such a folder as modules to tune.

Every key of the layout is written: what inference never reads (embedding tables of the backbones, the
router of images) as zeros, or as the base checkpoint has it where there is one.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor

from training.release.config import Identity
from uniaudio.checkpoint import Checkpoint, Piece
from uniaudio.checkpoint_layout import Shape, tensor_shapes
from uniaudio.checkpoint_writer import write_json, write_text_tokenizer, write_weights
from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import LanguageModelConfig
from uniaudio.llm.state_dict_adapter import POOLING_KEYS, flow_head_key, language_model_source
from uniaudio.tokenizer.state_dict_adapter import is_unused, published_key

_TOKENIZER_MODULES = ("encoder", "decoder", "semantic")
_COMPANIONS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
)
_TIED_HEAD, _EMBEDDINGS = "model.lm_head.weight", "model.model.word_embeddings.weight"
# Tables, not weights: rounded to bfloat16 they would shift phases and the overlap of frames.
_TABLES = ("istft.window", "rotary_embed.inv_freq")
_FLOW_ROPE_BASE = 10000.0


class Base(Protocol):
    """What gives the keys that no trained weight fills: a checkpoint, or several as one."""

    def __contains__(self, key: str) -> bool: ...

    def shape(self, key: str) -> Shape:
        """Shape of a tensor."""

    def tensor(self, key: str) -> Tensor:
        """The tensor as stored."""


@dataclass(frozen=True)
class _Origin:
    """The weight `name`, or its row `index`, fills a key."""

    name: str
    index: tuple[int | slice, ...] = ()


def export_model(
    directory: Path,
    weights: Mapping[str, Tensor],
    config: Mapping[str, Any],
    preprocessor: Mapping[str, Any],
    text_tokenizer: Tokenizer | None,
    identity: Identity,
    *,
    base: Base | None = None,
    dtype: torch.dtype = torch.bfloat16,
    max_shard_bytes: int | None = None,
) -> Path:
    """Writes a model that we built; `directory` is returned.

    Args:
        weights: by flat name; modules `llm`, `flow_head`, `stop_head`, `pooling`, `encoder`, `decoder`,
            `semantic` are exported, others (discriminators, teachers) are passed over.
        config: as `release_config` or, for a standalone tokenizer, `tokenizer_config` gives it.
        text_tokenizer: None for a standalone tokenizer.
        base: gives what `weights` do not.
        dtype: of all weights; tables stay float32.
        max_shard_bytes: cuts the weights into shards with an index.

    Other files of the folder (a model card) stay. `config.json` is removed first and written last, so
    that an export that was cut short cannot be loaded. Raises InvalidInputError, naming the tensor, if
    weights and config disagree or a value is not finite.
    """
    shapes = tensor_shapes(dict(config))
    dtypes = {key: torch.float32 if key.endswith(_TABLES) else dtype for key in shapes}
    export = _Export(weights, config, shapes, dtypes, base)
    _begin(directory)
    export.write(directory, max_shard_bytes)
    if text_tokenizer is not None:
        write_text_tokenizer(directory, text_tokenizer)
    write_json(directory / "preprocessor_config.json", preprocessor)
    stored = str(dtype).removeprefix("torch.")
    write_json(directory / "config.json", {**config, "torch_dtype": stored, "uniaudio": identity.section()})
    return directory


def export_tuned(
    directory: Path,
    weights: Mapping[str, Tensor],
    base: Checkpoint,
    identity: Identity,
    *,
    max_shard_bytes: int | None = None,
) -> Path:
    """Writes `base` with some of its weights replaced; the rest, dtypes and layout stay as they are.

    Arguments, order of writing and errors as in `export_model`.
    """
    if directory.resolve() == base.directory.resolve():
        raise InvalidInputError(f"{directory} is the base checkpoint itself; name another folder")
    shapes = {key: base.shape(key) for key in base.keys()}
    dtypes = {key: base.dtype(key) for key in base.keys()}
    export = _Export(weights, base.config, shapes, dtypes, base)
    _begin(directory)
    export.write(directory, max_shard_bytes)
    for name in _COMPANIONS:
        if (base.directory / name).is_file():
            shutil.copyfile(base.directory / name, directory / name)
    write_json(directory / "config.json", {**base.config, "uniaudio": identity.section()})
    return directory


def _begin(directory: Path) -> None:
    """Takes away what would make a half-written folder look whole, and weights of another cut."""
    directory.mkdir(parents=True, exist_ok=True)
    for path in (directory / "config.json", *directory.glob("model*.safetensors*")):
        path.unlink(missing_ok=True)


class _Export:
    """Where each key of the layout comes from; checked when made, values fetched one at a time."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        config: Mapping[str, Any],
        shapes: Mapping[str, Shape],
        dtypes: Mapping[str, torch.dtype],
        base: Base | None,
    ) -> None:
        self._weights, self._config, self._base = weights, config, base
        self._shapes, self._dtypes = shapes, dtypes
        self._origins = self._find_origins()
        missing = [key for key in shapes if not self._is_given(key)]
        if missing:
            raise InvalidInputError(
                f"{missing[0]} has no trained weight ({len(missing)} keys have none): give the weights of "
                "every stage, and a config with the sizes that were trained"
            )

    def _is_given(self, key: str) -> bool:
        """Whether something fills the key; what lies in the base is not read for that."""
        if key in self._origins:
            return True
        if self._base is None or key not in self._base:
            return self._filler(key) is not None
        if (found := self._base.shape(key)) != self._shapes[key]:
            raise InvalidInputError(
                f"{key} has shape {found} where it is taken from, the config says {self._shapes[key]}; join "
                "checkpoints that are whole"
            )
        return True

    def write(self, directory: Path, max_shard_bytes: int | None) -> None:
        sizes = {key: math.prod(shape) * self._dtypes[key].itemsize for key, shape in self._shapes.items()}
        write_weights(directory, sizes, self._tensor, max_shard_bytes)

    def _find_origins(self) -> dict[str, _Origin]:
        origins: dict[str, _Origin] = {}
        for name, weight in self._weights.items():
            for piece in _published(name, self._config, self._shapes):
                origin = _Origin(name, piece.into)
                found, expected = tuple(weight[piece.into].shape), self._shapes.get(piece.key)
                if expected is None:
                    raise InvalidInputError(
                        f"{name} has no place in the layout; merge adapters (`training.release.lora.MergedWeights`), "
                        "or export with the sizes that were trained"
                    )
                if found != expected:
                    raise InvalidInputError(
                        f"{name} has shape {found}, but the config gives {piece.key} the shape {expected}; "
                        "export with the sizes that were trained"
                    )
                self._refuse_difference(origins.setdefault(piece.key, origin), origin)
        return origins

    def _refuse_difference(self, first: _Origin, second: _Origin) -> None:
        """Two modules that share a weight must have trained it as one."""
        if first != second and not torch.equal(self._value(first), self._value(second)):
            raise InvalidInputError(
                f"{first.name} and {second.name} are one tensor in the layout but differ here; freeze it "
                "in the later stage or train it as one"
            )

    def _value(self, origin: _Origin) -> Tensor:
        return self._weights[origin.name][origin.index]

    def _tensor(self, key: str) -> Tensor:
        origin = self._origins.get(key)
        value = self._filler(key) if origin is None else self._value(origin)
        assert value is not None, key
        if not value.isfinite().all():
            raise InvalidInputError(f"{key} has values that are not finite; export an earlier checkpoint")
        # A copy, because the library refuses tensors that share memory.
        return value.detach().to("cpu", self._dtypes[key], copy=True).contiguous()

    def _filler(self, key: str) -> Tensor | None:
        """The value of a key that no weight gives; None if it had to be trained."""
        shape = self._shapes[key]
        if self._base is not None and key in self._base:
            return self._base.tensor(key)
        if key.endswith("istft.window"):
            return torch.hann_window(shape[0], periodic=True)
        if key.endswith("rotary_embed.inv_freq"):
            return _FLOW_ROPE_BASE ** (-torch.arange(shape[0]) / shape[0])
        if key == _TIED_HEAD and self._config["llm_config"].get("tie_word_embeddings"):
            return self._value(self._origins[_EMBEDDINGS]) if _EMBEDDINGS in self._origins else None
        is_spare = is_unused(key.removeprefix("audio.")) or key.endswith("image_gate.weight") or 0 in shape
        return torch.zeros(shape) if is_spare else None


def _published(name: str, config: Mapping[str, Any], shapes: Mapping[str, Shape]) -> list[Piece]:
    """The keys that a weight fills, each by the part `weight[into]`; none for what no release holds."""
    module, _, parameter = name.partition(".")
    if module in _TOKENIZER_MODULES:
        prefix = "audio." if "llm_config" in config else ""
        return [Piece(prefix + published_key(name))]
    if "llm_config" not in config:
        return []
    if module == "llm":
        source = language_model_source(parameter, shapes, LanguageModelConfig.from_config(config))
        if isinstance(source, str):
            return [Piece(source)]
        return [source] if isinstance(source, Piece) else list(source)
    if module == "flow_head":
        return [Piece(flow_head_key(parameter))]
    if module == "pooling":
        return [Piece(POOLING_KEYS[parameter])]
    return [Piece(name)] if module == "stop_head" else []
