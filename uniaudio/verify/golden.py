"""One golden file, read or being made: the same checks compare in one case and record in the other."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from uniaudio.verify.report import EXACT, Row, Verdict

Path_ = tuple[str | int, ...]
Make = Callable[[torch.Generator], Tensor]


class Golden(Protocol):
    """Inputs, outputs, texts and settings of one numbered golden."""

    name: str

    def cases(self, suffix: str) -> Sequence[str]:
        """Prefixes P of which the golden has, or shall get, a tensor `P.suffix`."""
        ...

    def wants(self, name: str) -> bool:
        """Whether the golden has, or shall get, that tensor."""
        ...

    def given(self, name: str, make: Make) -> Tensor:
        """An input tensor; `make` makes it when recording, from a generator of the tensor's own."""
        ...

    def check(self, name: str, actual: Tensor, tolerance: float = EXACT) -> None:
        """An output tensor, compared or recorded."""
        ...

    def generator(self, name: str) -> torch.Generator | None:
        """Where noise of that name is drawn from when recording; None for a stored golden."""
        ...

    def document(self) -> Any:
        """Texts and settings: the JSON beside the tensors."""
        ...

    def setting(self, *path: str | int) -> Any:
        """A setting at that place of the document; None if absent."""
        ...

    def check_value(self, path: Path_, actual: object, tolerance: float = EXACT) -> None:
        """A text, number or list at that place of the document, compared or recorded."""
        ...


class StoredGolden:
    """A golden on disk; every check becomes a row."""

    def __init__(self, directory: Path, name: str) -> None:
        """Reads `NAME.safetensors` and `NAME.json`, whichever are there."""
        self.name = name
        tensors, document = directory / f"{name}.safetensors", directory / f"{name}.json"
        self._tensors: dict[str, Tensor] = load_file(tensors) if tensors.is_file() else {}
        self._document: Any = json.loads(document.read_text("utf-8")) if document.is_file() else None
        self._rows: dict[str, Row] = {}

    def cases(self, suffix: str) -> Sequence[str]:
        ending = f".{suffix}"
        return [name.removesuffix(ending) for name in self._tensors if name.endswith(ending)]

    def wants(self, name: str) -> bool:
        return name in self._tensors

    def given(self, name: str, make: Make) -> Tensor:
        if name not in self._tensors:
            raise LookupError(f"{name} is not in {self.name}.safetensors, and others need it")
        self._rows.setdefault(name, Row(self.name, name, Verdict.GIVEN))
        return self._tensors[name]

    def check(self, name: str, actual: Tensor, tolerance: float = EXACT) -> None:
        if name in self._tensors:
            self._rows[name] = compare(self.name, name, self._tensors[name], actual, tolerance)

    def generator(self, name: str) -> torch.Generator | None:
        return None

    def document(self) -> Any:
        return self._document

    def setting(self, *path: str | int) -> Any:
        value = self._document
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        self._rows.setdefault(_dotted(path), Row(self.name, _dotted(path), Verdict.GIVEN))
        return value

    def check_value(self, path: Path_, actual: object, tolerance: float = EXACT) -> None:
        expected = self.setting(*path)
        if expected is None and actual is not None and self.setting(*path[:-1]) is None:
            return
        if tolerance and isinstance(expected, float) and isinstance(actual, float):
            row = compare(self.name, _dotted(path), torch.tensor(expected), torch.tensor(actual), tolerance)
        else:
            same = expected == actual
            detail = "" if same else f"expected {_shown(expected)}, got {_shown(actual)}"
            verdict = Verdict.OK if same else Verdict.MISS
            row = Row(self.name, _dotted(path), verdict, 0.0 if same else None, EXACT, detail)
        self._rows[_dotted(path)] = row

    def rows(self) -> Iterator[Row]:
        """Every tensor and text of the golden, in its order; what nothing touched is unknown."""
        names = [*self._tensors, *(_dotted(path) for path in _leaves(self._document))]
        shown = dict.fromkeys((*names, *self._rows))
        parents = {name.rpartition(".")[0] for name in names}
        for name in shown:
            if name in self._rows:
                if name in names or name not in parents:
                    yield self._rows[name]
            elif name in self._tensors:
                yield Row(self.name, name, Verdict.UNKNOWN, detail="nothing here computes this tensor")
            elif not _is_covered(name, self._rows):
                yield Row(self.name, name, Verdict.NOTE)


class NewGolden:
    """A golden being recorded: inputs are made, outputs are kept, all in `tensors`."""

    def __init__(self, name: str, cases: Sequence[str] = (), document: Any = None, *, seed: int = 0) -> None:
        self.name = name
        self._seed = seed
        self._cases = cases
        self._document = document
        self.tensors: dict[str, Tensor] = {}

    def cases(self, suffix: str) -> Sequence[str]:
        return self._cases

    def wants(self, name: str) -> bool:
        return True

    def given(self, name: str, make: Make) -> Tensor:
        if name not in self.tensors:
            self.tensors[name] = make(self.generator(name))
        return self.tensors[name]

    def check(self, name: str, actual: Tensor, tolerance: float = EXACT) -> None:
        self.tensors[name] = actual

    def document(self) -> Any:
        return self._document

    def setting(self, *path: str | int) -> Any:
        value = self._document
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError):
                return None
        return value

    def check_value(self, path: Path_, actual: object, tolerance: float = EXACT) -> None:
        parent = self._document
        for part in path[:-1]:
            parent = parent[part]
        parent[path[-1]] = actual

    def generator(self, name: str) -> torch.Generator:
        return named_generator(self._seed, f"{self.name}.{name}")

    def save(self, directory: Path) -> None:
        """Writes `NAME.safetensors` and `NAME.json`, whichever has content."""
        if self.tensors:
            tensors = {name: tensor.detach().clone().contiguous() for name, tensor in self.tensors.items()}
            save_file(tensors, directory / f"{self.name}.safetensors")
        if self._document is not None:
            text = json.dumps(self._document, ensure_ascii=False, indent=1) + "\n"
            (directory / f"{self.name}.json").write_text(text, encoding="utf-8")


def normal(*shape: int) -> Make:
    """Makes standard normal noise."""
    return lambda generator: torch.randn(*shape, generator=generator)


def named_generator(seed: int, name: str) -> torch.Generator:
    """A generator of that name's own, so that no draw depends on how much was drawn before."""
    return torch.Generator().manual_seed(seed * 2**32 + zlib.crc32(name.encode()))


def compare(golden: str, name: str, expected: Tensor, actual: Tensor, tolerance: float) -> Row:
    """The row for two tensors; integers and booleans must be equal whatever the tolerance."""
    actual = actual.detach().cpu()
    if expected.shape != actual.shape:
        detail = f"expected shape {tuple(expected.shape)}, got {tuple(actual.shape)}"
        return Row(golden, name, Verdict.MISS, None, tolerance, detail)
    if not expected.is_floating_point():
        tolerance = EXACT
    gap = (expected.double() - actual.double()).abs()
    difference = float(gap.nan_to_num(nan=float("inf")).max()) if gap.numel() else 0.0
    if difference <= tolerance:
        return Row(golden, name, Verdict.OK, difference, tolerance)
    detail = f"{int((gap > tolerance).sum())} of {gap.numel()} entries are outside"
    return Row(golden, name, Verdict.MISS, difference, tolerance, detail)


def _dotted(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))


def _leaves(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Places in a document whose values are not objects or lists of objects."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif path:
        yield path


def _is_covered(name: str, rows: dict[str, Row]) -> bool:
    """Whether a place that contains this one was compared or read as a whole."""
    parts = name.split(".")
    return any(".".join(parts[:count]) in rows for count in range(1, len(parts)))


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
