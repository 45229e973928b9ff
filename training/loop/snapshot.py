"""A run's whole state in a folder, tensor by tensor, so that any number of ranks can take it up.

Each rank writes its own parts and reads what it needs: sharded tensors are `DTensor`s, whose place in
the whole `torch.distributed.checkpoint` records. Everything else is `loop.pt`, written by the first rank.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.filesystem import FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from training.ranks.ranks import Ranks
from training.run_folder import load_values, save_values
from uniaudio.errors import CheckpointError

_LOOP = "loop.pt"


def write_snapshot(
    folder: Path, tensors: Mapping[str, Tensor], loop: Mapping[str, Any], ranks: Ranks
) -> None:
    """Writes this rank's part of `tensors` into `folder`; the first rank adds `loop`.

    The folders of all ranks, put together, are what `read_snapshot` reads.
    """
    writer = FileSystemWriter(folder, overwrite=True)
    with _alone_is_meant():
        save(dict(tensors), storage_writer=writer, no_dist=ranks.count == 1)
    if ranks.is_first:
        save_values(folder / _LOOP, loop)


def stored_names(folder: Path) -> frozenset[str]:
    """The tensors that a snapshot holds."""
    try:
        return frozenset(FileSystemReader(folder).read_metadata().state_dict_metadata)
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder} holds no snapshot of a run: {error}", path=folder) from error


def read_snapshot(folder: Path, tensors: Mapping[str, Tensor], ranks: Ranks) -> None:
    """Fills `tensors` in place; raises CheckpointError for one that is missing or of another shape."""
    missing = sorted(set(tensors) - stored_names(folder))
    if missing:
        raise CheckpointError(
            f"the checkpoint lacks {len(missing)} tensors that the run needs, the first is {missing[0]!r}; it was "
            "written by another version of the recipe: go back to that, or train under another name",
            key=missing[0],
        )
    try:
        with _alone_is_meant():
            load(dict(tensors), storage_reader=FileSystemReader(folder), no_dist=ranks.count == 1)
    except (CheckpointException, ValueError) as error:
        raise CheckpointError(
            f"the checkpoint does not fit the run's tensors: {error}; go back to the recipe that "
            "wrote it, or train under another name"
        ) from error


def read_loop(folder: Path) -> dict[str, Any]:
    """The values that the first rank wrote beside the tensors."""
    return load_values(folder / _LOOP)


@contextmanager
def _alone_is_meant() -> Iterator[None]:
    """One rank without a process group is how most runs are trained, and nothing to warn of."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")
        yield
