"""Weights and config from a checkpoint directory, read lazily and refused with exact reasons.

A directory holds `config.json` and the weights: `model.safetensors`, or shards named by
`model.safetensors.index.json`, or several `*.safetensors` files without an index.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uniaudio.errors import CheckpointError
from uniaudio.safetensors_file import SafetensorsFile, StoredTensor

_SINGLE_FILE = "model.safetensors"
_INDEX_FILE = "model.safetensors.index.json"
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, kw_only=True)
class CheckpointInfo:
    """Who the checkpoint is.

    `notice` is what every user of an untrained one must be told. `sampling` holds options of the flow
    head's sampling, by name, that the model speaks best with; others have the published values.
    `takes` is how often a sentence should be spoken, at most, until it is heard to be right,
    `readings` how often a recording should be read to be read right, and `window_seconds` how long a
    stretch it reads well (0: as long as its context). With
    `names_letters` its text head tells, before each patch, which letter that speaks.
    """

    name: str
    revision: str
    trained: bool
    notice: str
    sampling: Mapping[str, float] = field(default_factory=dict)
    takes: int = 1
    readings: int = 1
    window_seconds: float = 0.0
    names_letters: bool = False


@dataclass(frozen=True)
class Piece:
    """One stored tensor that fills `parameter[into]`; with `part`, only `stored[part]` does."""

    key: str
    into: tuple[int | slice, ...] = ()
    part: int | None = None


Source = str | Piece | Sequence[Piece]
"""What fills a parameter: a key, or pieces that together cover it."""


class Checkpoint:
    """A checkpoint directory: its config, the keys and shapes of its tensors, and each one on demand.

    Opening reads the config and the headers only. Raises CheckpointError for a missing or broken
    file, and names it.
    """

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        if not self.directory.is_dir():
            raise CheckpointError(
                f"no checkpoint directory {self.directory}; name one that holds config.json and "
                f"{_SINGLE_FILE}",
                path=self.directory,
            )
        self.config: dict[str, Any] = read_json(self.directory / "config.json")
        self._file_of = _locate_tensors(self.directory)
        self._keys = frozenset(self._file_of)

    def keys(self) -> frozenset[str]:
        """The keys of all tensors."""
        return self._keys

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def shape(self, key: str) -> tuple[int, ...]:
        """Shape of a tensor, from the header."""
        return self._stored(key).shape

    def dtype(self, key: str) -> torch.dtype:
        """Stored dtype of a tensor, from the header."""
        return self._stored(key).dtype

    @cached_property
    def size_bytes(self) -> int:
        """Size of all tensors as stored."""
        return sum(file.tensors[key].size_bytes for key, file in self._file_of.items())

    def tensor(
        self, key: str, *, dtype: torch.dtype | None = None, device: str | torch.device = "cpu"
    ) -> Tensor:
        """The tensor of that key, as stored or converted; nothing else is read."""
        stored = self._stored(key)
        target = torch.empty(stored.shape, dtype=dtype or stored.dtype, device=device)
        self.read_into(key, target)
        return target

    def read_into(self, key: str, target: Tensor, *, part: int | None = None) -> None:
        """Fills `target` with the tensor (or `tensor[part]`) in the target's dtype and device."""
        stored = self._stored(key)
        if part is not None and not (stored.shape and 0 <= part < stored.shape[0]):
            raise CheckpointError(f"{key}: no part {part} in shape {stored.shape}", key=key)
        self._file_of[key].read_into(key, target, part)

    @cached_property
    def info(self) -> CheckpointInfo:
        """Name and standing from `config["uniaudio"]`; the revision is a digest of config and weights.

        Of the weights the digest takes the headers and a few bytes of every tensor: cheap for any
        size, and different for any training step.
        """
        own = self.config.get("uniaudio", {})
        if not isinstance(own, dict):
            raise CheckpointError('config.json: "uniaudio" must be an object', path=self.directory)
        sampling = own.get("sampling", {})
        if not isinstance(sampling, dict):
            raise CheckpointError('config.json: "uniaudio.sampling" must be an object', path=self.directory)
        return CheckpointInfo(
            name=str(own.get("name") or self.directory.resolve().name),
            revision=self._revision(),
            trained=bool(own.get("trained", True)),
            notice=str(own.get("notice", "")),
            sampling=sampling,
            takes=self._count(own, "takes"),
            readings=self._count(own, "readings"),
            window_seconds=self._seconds(own, "window_seconds"),
            names_letters=bool(own.get("names_letters", False)),
        )

    def _count(self, own: Mapping[str, Any], name: str) -> int:
        count = own.get(name, 1)
        if type(count) is not int or count < 1:
            raise CheckpointError(
                f'config.json: "uniaudio.{name}" must be a whole number from 1, not {count!r}',
                path=self.directory,
            )
        return count

    def _seconds(self, own: Mapping[str, Any], name: str) -> float:
        seconds = own.get(name, 0)
        if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
            raise CheckpointError(
                f'config.json: "uniaudio.{name}" must be a number of seconds, not {seconds!r}',
                path=self.directory,
            )
        return float(seconds)

    def _revision(self) -> str:
        digest = hashlib.sha256(json.dumps(self.config, sort_keys=True).encode())
        for file in sorted(set(self._file_of.values()), key=lambda file: file.path):
            digest.update(file.header)
            for sample in file.samples():
                digest.update(sample)
        return digest.hexdigest()[:12]

    def _stored(self, key: str) -> StoredTensor:
        if key not in self._file_of:
            raise CheckpointError(f"{key}: not in the checkpoint {self.directory}", key=key)
        return self._file_of[key].tensors[key]


def load_parameters(
    module: nn.Module,
    checkpoint: Checkpoint,
    key_of: Callable[[str], Source] | Mapping[str, Source],
    *,
    dtype: torch.dtype | Callable[[str], torch.dtype] = torch.float32,
    device: str | torch.device = "cpu",
) -> frozenset[str]:
    """Materialises a module built on the meta device, one tensor at a time.

    Args:
        key_of: the stored key, or the pieces, of each parameter and persistent buffer by its name
            in the module. A submodule that occurs twice is loaded once, under its first name.
        dtype: one for all floating tensors, or a choice by name.

    Returns the keys that were used. Raises CheckpointError before anything is read if a key is
    missing or a shape differs, with every key and both shapes (at most five are shown).
    """
    source_of = key_of if callable(key_of) else key_of.__getitem__
    dtype_of = dtype if callable(dtype) else lambda _name: dtype
    plan = [(*slot, _as_pieces(source_of(slot[0]))) for slot in _slots(module)]
    _refuse(problem for _, _, _, meta, pieces in plan for problem in _disagreements(checkpoint, meta, pieces))
    for name, owner, attribute, meta, pieces in plan:
        chosen = dtype_of(name) if meta.is_floating_point() else meta.dtype
        value = torch.empty(meta.shape, dtype=chosen, device=device)
        for piece in pieces:
            checkpoint.read_into(piece.key, value[piece.into], part=piece.part)
        if isinstance(meta, nn.Parameter):
            owner._parameters[attribute] = nn.Parameter(value, requires_grad=meta.requires_grad)
        else:
            owner._buffers[attribute] = value
    _require_materialised(module)
    return frozenset(piece.key for *_, pieces in plan for piece in pieces)


def refuse_unknown_keys(
    checkpoint: Checkpoint, used: Iterable[str], ignored: Callable[[str], bool], prefix: str = ""
) -> None:
    """Raises CheckpointError if a key under `prefix` is neither used nor known to be ignored.

    A surplus tensor (one more layer, a norm that the config does not mention) means that config
    and weights disagree, and that the numbers would be wrong.
    """
    surplus = sorted(k for k in checkpoint.keys() - set(used) if k.startswith(prefix) and not ignored(k))
    _refuse(
        f"{key}: in the checkpoint with shape {checkpoint.shape(key)}, but the config describes no such part"
        for key in surplus
    )


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file; raises CheckpointError that names the file and the place."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror}", path=path) from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}", path=path) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} must hold a JSON object, not {type(value).__name__}", path=path)
    return value


def _locate_tensors(directory: Path) -> dict[str, SafetensorsFile]:
    if (directory / _SINGLE_FILE).exists():
        file = SafetensorsFile(directory / _SINGLE_FILE)
        return dict.fromkeys(file.tensors, file)
    if (directory / _INDEX_FILE).exists():
        return _locate_by_index(directory)
    file_of: dict[str, SafetensorsFile] = {}
    for path in sorted(directory.glob("*.safetensors")):
        file = SafetensorsFile(path)
        for key in file.tensors:
            if key in file_of:
                raise CheckpointError(f"{key} is in both {file_of[key].path} and {path}", key=key)
            file_of[key] = file
    if not file_of:
        raise CheckpointError(
            f"no weights in {directory}: expected {_SINGLE_FILE} or {_INDEX_FILE} with its shards",
            path=directory,
        )
    return file_of


def _locate_by_index(directory: Path) -> dict[str, SafetensorsFile]:
    index = directory / _INDEX_FILE
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(v, str) for v in weight_map.values()):
        raise CheckpointError(f'{index} has no "weight_map" from keys to file names', path=index)
    files = {}
    for name in sorted(set(weight_map.values())):
        if Path(name).name != name:
            raise CheckpointError(f"{index} names {name!r}, which is not a file beside it", path=index)
        if not (directory / name).exists():
            raise CheckpointError(
                f"{index} names {name}, which is missing; fetch the shard again", path=directory / name
            )
        files[name] = SafetensorsFile(directory / name)
    for key, name in weight_map.items():
        if key not in files[name].tensors:
            raise CheckpointError(f"{key}: {index} says it is in {name}, but it is not", key=key)
    return {key: files[name] for key, name in weight_map.items()}


def _slots(module: nn.Module) -> Iterator[tuple[str, nn.Module, str, Tensor]]:
    """Name, owner, attribute and meta tensor of everything that comes from the checkpoint."""
    for prefix, owner in module.named_modules():
        persistent = {k: v for k, v in owner._buffers.items() if k not in owner._non_persistent_buffers_set}
        for attribute, tensor in [*owner._parameters.items(), *persistent.items()]:
            if tensor is not None:
                yield (f"{prefix}.{attribute}" if prefix else attribute), owner, attribute, tensor


def _as_pieces(source: Source) -> Sequence[Piece]:
    if isinstance(source, str):
        return (Piece(source),)
    return (source,) if isinstance(source, Piece) else source


def _disagreements(checkpoint: Checkpoint, meta: Tensor, pieces: Sequence[Piece]) -> Iterator[str]:
    for piece in pieces:
        expected = tuple(meta[piece.into].shape)
        if piece.key not in checkpoint:
            yield f"{piece.key}: missing; the model expects shape {expected}"
            continue
        shape = checkpoint.shape(piece.key)
        found = shape if piece.part is None else shape[1:]
        if found != expected or (piece.part is not None and piece.part >= shape[0]):
            at = "" if piece.part is None else f" at part {piece.part}"
            yield f"{piece.key}: the checkpoint has shape {shape}, the model expects {expected}{at}"


def _refuse(problems: Iterable[str]) -> None:
    found = list(problems)
    if found:
        more = f"; and {len(found) - _SHOWN_PROBLEMS} more" if len(found) > _SHOWN_PROBLEMS else ""
        raise CheckpointError(
            "config and weights disagree: " + "; ".join(found[:_SHOWN_PROBLEMS]) + more,
            key=found[0].partition(":")[0],
        )


def _require_materialised(module: nn.Module) -> None:
    """A table that the checkpoint does not hold would be left as whatever lies in memory."""
    for name, buffer in module.named_buffers():
        assert not buffer.is_meta, f"{name} is not in checkpoints: compute it where it is used"
