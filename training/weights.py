"""The weights of a run by flat names, `<module>.<parameter>`, in memory or in a file read on demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from uniaudio.errors import CheckpointError


def flat_weights(modules: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and persistent buffers of the modules under flat names; they share memory with them."""
    return {
        f"{name}.{parameter}": value.detach()
        for name, module in modules.items()
        for parameter, value in module.state_dict().items()
    }


class StoredWeights(Mapping[str, Tensor]):
    """The tensors of a safetensors file by name; the file is mapped, so only what is used is read."""

    def __init__(self, path: Path) -> None:
        """Opens the file. Raises CheckpointError for one that is missing or not whole."""
        try:
            self._file = safe_open(path, framework="pt")
        except (OSError, SafetensorError) as error:
            raise CheckpointError(f"cannot read the weights {path}: {error}", path=path) from error
        self._names = frozenset(self._file.keys())  # type: ignore[no-untyped-call]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        value: Tensor = self._file.get_tensor(name)  # type: ignore[no-untyped-call]
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._names))

    def __len__(self) -> int:
        return len(self._names)


@torch.no_grad()
def fill_modules(modules: Mapping[str, nn.Module], weights: Mapping[str, Tensor]) -> None:
    """Copies weights by flat names into the modules; names of other modules are passed over.

    Raises CheckpointError, before anything is copied, for a tensor that is missing or has another shape.
    """
    own = flat_weights(modules)
    missing = sorted(own.keys() - set(weights))
    if missing:
        raise CheckpointError(f"{missing[0]}: not among the weights ({len(missing)} are missing)")
    for name, target in own.items():
        if weights[name].shape != target.shape:
            raise CheckpointError(
                f"{name}: the weights have shape {tuple(weights[name].shape)}, the module expects "
                f"{tuple(target.shape)}"
            )
    for name, target in own.items():
        target.copy_(weights[name])
