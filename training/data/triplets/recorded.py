"""Triplets of recordings: rows of manifests that carry the times of their words.

A folder holds `train.jsonl` and `dev.jsonl`, as the stages on a released checkpoint read them. What needs no
synthesiser is made: insertions, deletions, substitutions, speed, pitch, volume, noise, background, and nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from training.data.boundaries import Demands, SecondAlignment, by_synthesis
from training.data.corpus import Speakers
from training.data.manifest import Manifest
from training.data.triplets.agreement import by_manifest, remembered
from training.data.triplets.instructions import wordings
from training.data.triplets.recorded_rows import UsableRows, labels_of
from training.data.triplets.recorded_scene import KINDS, RecordedScene, RecordedSpeech
from training.data.triplets.source import OpenSpeaker
from training.data.triplets.triplet import Kind
from training.data.triplets.wordings import Wording
from training.data.utterance import Utterance
from uniaudio.errors import InvalidInputError
from uniaudio.file_digest import sha256_of_file

SPLITS = ("train", "dev")
LIKELY = Demands(near=0.4, far=0.7)
"""Of times that are cut at only where both agree: below that, agreement is chance too often."""
_SPOKEN_BY_TEMPLATE = "English"
_MAX_CHECKED = 1000


@dataclass(frozen=True, kw_only=True)
class OpenRecorded:
    """Recordings by split, with their second alignment."""

    speech: Mapping[str, RecordedSpeech]
    second: SecondAlignment
    wordings: Sequence[Wording]
    kinds: Sequence[Kind] = KINDS
    demands: Demands = LIKELY

    def scene(self, split: str, kind: Kind, rng: np.random.Generator) -> RecordedScene:
        """A speaker, as often as there are recordings of that one."""
        speech = self.speech[split]
        speakers, weights = self._speakers[split]
        speaker = speakers[int(np.searchsorted(weights, rng.random() * weights[-1], side="right"))]
        return RecordedScene(rng=rng, wordings=self.wordings, speech=speech, speaker=speaker)

    def recordings(self, rng: np.random.Generator) -> Iterator[Utterance]:
        """Recordings that are trained on, none twice."""
        speech = self.speech["train"]
        places = [place for _, place in speech.usable]
        for index in rng.permutation(len(places))[:_MAX_CHECKED]:
            yield speech.load(places[index])

    @cached_property
    def _speakers(self) -> dict[str, tuple[list[str], np.ndarray[Any, np.dtype[np.int64]]]]:
        return {
            split: (list(known := speech.usable.by_speaker), np.cumsum([len(v) for v in known.values()]))
            for split, speech in self.speech.items()
        }


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """Manifests in a folder; `second` is one with the same rows and other times, synthesis stands in for it.

    The second manifest holds the rows of all splits.
    """

    folder: Path
    second: Path | None = None
    open_speaker: OpenSpeaker = Speakers

    @property
    def split_names(self) -> Sequence[str]:
        """One a manifest."""
        return SPLITS

    def about(self) -> Mapping[str, Any]:
        """The manifests by their content; InvalidInputError where one is missing."""
        paths = {split: self._manifest(split) for split in SPLITS}
        named = paths if self.second is None else {**paths, "second": self.second}
        missing = [path for path in named.values() if not path.is_file()]
        if missing:
            raise InvalidInputError(
                f"{missing[0]} is missing; write it with `python -m training.data.readers`"
            )
        return {"recordings": {name: sha256_of_file(path) for name, path in named.items()}}

    def usable(self) -> dict[str, UsableRows]:
        """The rows of every split that can be edited; InvalidInputError where a split has none."""
        language = _SPOKEN_BY_TEMPLATE if self.second is None else None
        found = {split: UsableRows.among(Manifest(self._manifest(split)), language) for split in SPLITS}
        for split, rows in found.items():
            if not len(rows):
                raise InvalidInputError(
                    f"{self._manifest(split)}: {rows.told()}; give rows of three words and more with `words`"
                )
        return found

    @contextmanager
    def open(self, languages: Sequence[str]) -> Iterator[OpenRecorded]:
        """Reads the manifests, and starts the speakers where there is no second alignment."""
        with self._second() as second:
            yield OpenRecorded(
                speech={
                    split: RecordedSpeech(
                        manifest=Manifest(self._manifest(split)), usable=rows, second=second
                    )
                    for split, rows in self.usable().items()
                },
                second=second,
                wordings=wordings(languages=languages),
            )

    @contextmanager
    def _second(self) -> Iterator[SecondAlignment]:
        if self.second is not None:
            yield by_manifest(self.second, labels_of)
        else:
            with self.open_speaker() as speaker:
                yield remembered(by_synthesis(speaker))

    def _manifest(self, split: str) -> Path:
        return self.folder / f"{split}.jsonl"
