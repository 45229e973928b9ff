"""A folder of posteriors: written piece by piece, read by index without loading anything else.

`frames.f16` holds the means and deviations of all frames one after the other; `index.jsonl` a line for
every recording or pair; `encoder.json` what they come from; and `latents.json` says that it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.data.utterance import Span
from uniaudio.errors import InvalidInputError
from uniaudio.whole_file import write_whole

Floats = NDArray[np.float32]
Halves = NDArray[np.float16]


@dataclass(frozen=True)
class StoredPosterior:
    """`mean` and `std` `(num_frames, C)`, float32, on the host."""

    mean: Floats
    std: Floats

    def sample(self, rng: np.random.Generator) -> Floats:
        """Latents `(num_frames, C)`."""
        return self.mean + self.std * rng.standard_normal(self.mean.shape, dtype=np.float32)


@dataclass(frozen=True, kw_only=True)
class EditEntry:
    """An edit without its frames.

    `plan_text` is what the model writes before it speaks, empty for edits that need no plan;
    `target_region` the frames of the target that the edit made, from and up to, or None for all alike;
    `boundary_error_seconds` how far off its worst cut is, None where nothing was cut; `target_words` the target's
    words with their times, in samples, empty where they are not known.
    """

    kind: str
    instruction: str
    plan_text: str
    source_frames: int
    target_frames: int
    source_text: str = ""
    target_text: str = ""
    target_region: tuple[int, int] | None = None
    boundary_error_seconds: float | None = None
    target_words: tuple[Span, ...] = ()


class LatentFolder:
    """A folder that `encode_corpus` or `encode_edits` has finished; both protocols in one."""

    def __init__(self, folder: Path, latent_dim: int, entries: list[dict[str, Any]]) -> None:
        self.folder, self.latent_dim, self._entries = folder, latent_dim, entries
        self._frames: NDArray[np.float16] = np.memmap(folder / "frames.f16", np.float16, mode="r").reshape(
            -1, 2 * latent_dim
        )

    @classmethod
    def open(cls, folder: Path | str) -> LatentFolder:
        """Raises InvalidInputError where no whole set of latents lies, or edits without boundary errors."""
        folder = Path(folder)
        done = folder / "latents.json"
        if not done.is_file():
            raise InvalidInputError(f"{done} is missing: encode the recordings first, to the end")
        entries = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
        if entries and "kind" in entries[0] and "boundary_error_seconds" not in entries[0]:
            raise InvalidInputError(
                f"the edits of {folder} were encoded before their boundary errors were kept; "
                "remove the folder and encode them anew"
            )
        return cls(folder, json.loads(done.read_text())["latent_dim"], entries)

    def __len__(self) -> int:
        return len(self._entries)

    def num_frames(self, index: int) -> int:
        """Frames of a recording."""
        count: int = self._entries[index]["frames"][0]
        return count

    def text(self, index: int) -> str:
        """What is said."""
        return str(self._entries[index]["text"])

    def voice(self, index: int) -> str:
        """Who says it."""
        return str(self._entries[index]["voice"])

    def language(self, index: int) -> str:
        """The language's name in English."""
        return str(self._entries[index]["language"])

    def words(self, index: int) -> tuple[Span, ...]:
        """Times of the words, in samples."""
        return tuple(Span(*span) for span in self._entries[index]["words"])

    def posterior(self, index: int, num_frames: int | None = None) -> StoredPosterior:
        """The recording's frames, or the first ones."""
        return self._read(index, 0, num_frames)

    def entry(self, index: int) -> EditEntry:
        """An edit's texts and lengths."""
        entry = self._entries[index]
        region = entry["target_region"]
        return EditEntry(
            kind=entry["kind"],
            instruction=entry["instruction"],
            plan_text=entry["plan_text"],
            source_text=entry["source_text"],
            target_text=entry["target_text"],
            source_frames=entry["frames"][0],
            target_frames=entry["frames"][1],
            target_region=None if region is None else (region[0], region[1]),
            boundary_error_seconds=entry["boundary_error_seconds"],
            target_words=tuple(Span(*span) for span in entry.get("target_words", ())),
        )

    def source(self, index: int) -> StoredPosterior:
        """The frames before the edit."""
        return self._read(index, 0)

    def target(self, index: int) -> StoredPosterior:
        """The frames after it."""
        return self._read(index, 1)

    def _read(self, index: int, part: int, num_frames: int | None = None) -> StoredPosterior:
        entry = self._entries[index]
        start = entry["offset"] + sum(entry["frames"][:part])
        count = entry["frames"][part] if num_frames is None else num_frames
        rows = self._frames[start : start + count].astype(np.float32)
        return StoredPosterior(rows[:, : self.latent_dim], rows[:, self.latent_dim :])


class LatentWriter:
    """Appends to a folder, from where it stopped; frames reach the disk before the line that names them.

    `description` says what the latents come from; a folder that holds others is refused.
    """

    def __init__(self, folder: Path, description: Mapping[str, Any], *, latent_dim: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._description = folder, {"latent_dim": latent_dim, **description}
        self._refuse_other()
        index, frames = folder / "index.jsonl", folder / "frames.f16"
        lines = index.read_bytes().splitlines(keepends=True) if index.is_file() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        last = json.loads(whole[-1]) if whole else None
        self.count = len(whole)
        self._num_frames = last["offset"] + sum(last["frames"]) if last else 0
        self._index, self._frames = index.open("ab"), frames.open("ab")
        # What a killed build left half written goes.
        self._index.truncate(sum(map(len, whole)))
        self._frames.truncate(self._num_frames * 2 * latent_dim * np.dtype(np.float16).itemsize)

    def __enter__(self) -> LatentWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._index.close()
        self._frames.close()

    def append(self, described: Sequence[Mapping[str, Any]], frames: Sequence[Sequence[Halves]]) -> None:
        """Entries, each with the frames `(num_frames, 2 C)` of its recordings."""
        lines = []
        for entry, parts in zip(described, frames, strict=True):
            counts = [len(part) for part in parts]
            lines.append(json.dumps({"offset": self._num_frames, "frames": counts, **entry}) + "\n")
            self._num_frames += sum(counts)
            for part in parts:
                self._frames.write(part.tobytes())
        self._frames.flush()
        os.fsync(self._frames.fileno())
        self._index.write("".join(lines).encode())
        self._index.flush()

    def finish(self) -> None:
        """Says that the folder is whole."""
        write_whole(self._folder / "latents.json", json.dumps(self._description, indent=2))

    def _refuse_other(self) -> None:
        path = self._folder / "encoder.json"
        if not path.is_file():
            write_whole(path, json.dumps(self._description, indent=2))
            return
        found = json.loads(path.read_text())
        differing = [key for key, value in self._description.items() if found.get(key) != value]
        if differing:
            raise InvalidInputError(
                f"{self._folder} holds latents of something else ({', '.join(differing)} differ); "
                "remove it or choose another folder"
            )
