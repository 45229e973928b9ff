"""Reads tensors out of one safetensors file, piece by piece and without mapping it into memory.

A mapped file stays resident beside the tensors copied out of it, which doubles the peak; plain
reads into the tensor's own memory do not.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from uniaudio.errors import CheckpointError

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_MAX_HEADER_BYTES = 100_000_000
_STAGING_BYTES = 64 * 1024 * 1024
_SAMPLE_BYTES = 64


@dataclass(frozen=True)
class StoredTensor:
    """Where one tensor lies in its file; `offset` counts from the start of the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    offset: int
    size_bytes: int


class SafetensorsFile:
    """The tensors of one file by key; raises CheckpointError for a file that is not whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.size_bytes = path.stat().st_size
            with path.open("rb") as file:
                self.header, data_start = _read_header(path, file)
        except OSError as error:
            raise CheckpointError(f"cannot read {path}: {error.strerror}", path=path) from error
        try:
            self.tensors = {
                key: _parse_entry(entry, data_start)
                for key, entry in json.loads(self.header).items()
                if key != "__metadata__"
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CheckpointError(
                f"{path} is not a safetensors file: bad header ({error!r}); fetch it again", path=path
            ) from error
        needed = max((t.offset + t.size_bytes for t in self.tensors.values()), default=data_start)
        if self.size_bytes < needed:
            raise CheckpointError(
                f"{path} is truncated: its header asks for {needed} bytes, the file has "
                f"{self.size_bytes}; fetch it again",
                path=path,
                needed_bytes=needed,
                size_bytes=self.size_bytes,
            )

    def read_into(self, key: str, target: Tensor, part: int | None = None) -> None:
        """Fills `target` with the tensor `key` (or `tensor[part]`), converted to the target's dtype.

        Peak extra memory is one staging buffer, except for a target with gaps, which costs a copy.
        """
        stored = self.tensors[key]
        shape, offset, size = stored.shape, stored.offset, stored.size_bytes
        if part is not None:
            size //= shape[0]
            offset += part * size
            shape = shape[1:]
        if tuple(target.shape) != shape:
            raise CheckpointError(
                f"{key}: the checkpoint has shape {shape}, the model expects {tuple(target.shape)}",
                key=key,
            )
        if size == 0:
            return
        with self.path.open("rb", buffering=0) as file:
            file.seek(offset)
            if not target.is_contiguous():
                whole = torch.empty(shape, dtype=stored.dtype)
                self._fill(file, key, whole)
                target.copy_(whole)
            elif target.device.type == "cpu" and target.dtype == stored.dtype:
                self._fill(file, key, target)
            else:
                flat, step = target.view(-1), _STAGING_BYTES // stored.dtype.itemsize
                for start in range(0, flat.numel(), step):
                    piece = flat[start : start + step]
                    staging = torch.empty(piece.shape, dtype=stored.dtype)
                    self._fill(file, key, staging)
                    piece.copy_(staging)

    def samples(self) -> Iterator[bytes]:
        """A few bytes from the middle of every tensor, in key order: enough to tell weights apart."""
        with self.path.open("rb") as file:
            for _, stored in sorted(self.tensors.items()):
                file.seek(stored.offset + stored.size_bytes // 2)
                yield file.read(min(_SAMPLE_BYTES, stored.size_bytes - stored.size_bytes // 2))

    def _fill(self, file: BinaryIO, key: str, target: Tensor) -> None:
        view = target.detach().reshape(-1).view(torch.uint8).numpy().data
        while view:
            count = file.readinto(view)  # type: ignore[attr-defined]
            if not count:
                raise CheckpointError(f"{self.path} ended while {key} was read; fetch it again", key=key)
            view = view[count:]


def _read_header(path: Path, file: BinaryIO) -> tuple[bytes, int]:
    prefix = file.read(8)
    size = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or size > _MAX_HEADER_BYTES:
        raise CheckpointError(f"{path} is not a safetensors file; fetch it again", path=path)
    header = file.read(size)
    if len(header) < size:
        raise CheckpointError(
            f"{path} is truncated: its header needs {size} bytes, {len(header)} are there; fetch it again",
            path=path,
        )
    return header, 8 + size


def _parse_entry(entry: dict[str, Any], data_start: int) -> StoredTensor:
    dtype = _DTYPES[entry["dtype"]]
    shape = tuple(int(size) for size in entry["shape"])
    start, end = entry["data_offsets"]
    if start < 0 or end - start != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"shape {shape} of {entry['dtype']} does not fill bytes {start} to {end}")
    return StoredTensor(dtype, shape, data_start + start, end - start)
