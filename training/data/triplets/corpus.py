"""Writes triplets: in blocks, by several processes, the same bytes for the same seed however often stopped.

Item `i` of a split is a pure function of (seed, split, i). A block's rows are written last, so a block
that has rows is whole, and a build that was stopped writes only what is missing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from training.data.boundaries import MIN_BOUNDARIES, AlignmentGateError
from training.data.espeak import Speaker
from training.data.triplets.acoustic import can_act
from training.data.triplets.checks import Checks, check_triplet
from training.data.triplets.make import kinds_for, make_triplet
from training.data.triplets.manifest import GENERATOR_VERSION, write_triplet
from training.data.triplets.scene import Scene
from training.data.triplets.splits import Split, splits
from training.data.triplets.triplet import Kind, Triplet
from training.data.utterance import Utterance
from training.data.voices import as_spoken
from uniaudio.errors import DeadlineError, InvalidInputError
from uniaudio.whole_file import write_whole

_MAX_REJECTED = 8
_BLOCK_DEADLINE_SECONDS = 1800.0
OpenSpeaker = Callable[[], AbstractContextManager[Speaker]]


@dataclass(frozen=True, kw_only=True)
class TripletCorpusConfig:
    """`count` triplets to train on and `held_out_count` in each of the other splits, all kinds alike.

    `block` items are one piece of work: a build that is stopped loses no more than those begun.
    """

    count: int
    held_out_count: int
    seed: int = 0
    languages: tuple[str, ...] = ("en",)
    block: int = 44

    def size(self, split: str) -> int:
        """Items of a split."""
        return self.count if split == "train" else self.held_out_count


def draw(split: Split, seed: int, index: int, speaker: Speaker) -> tuple[Triplet, Checks, int]:
    """Item `index` of a split, its checks, and its seed; one that fails its checks is drawn again.

    Raises AlignmentGateError where draw after draw is cut at places that another alignment denies.
    """
    kind = tuple(Kind)[index % len(Kind)]
    for attempt in range(_MAX_REJECTED):
        numbers = [seed, zlib.crc32(split.name.encode()), index, attempt]
        rng = np.random.default_rng(numbers)
        voices = [voice for voice in split.voices if kind in kinds_for(voice)]
        voice = as_spoken(voices[rng.integers(len(voices))], rng)
        others = [other for other in split.voices if can_act(other)]
        triplet = make_triplet(
            kind, speaker, split.sentences, voice, rng, wordings=split.wordings, others=others
        )
        checks = check_triplet(triplet, speaker)
        if checks.passed:
            return triplet, checks, zlib.crc32(repr(numbers).encode())
    raise AlignmentGateError(
        f"item {index} of {split.name} was drawn {_MAX_REJECTED} times and never passed its checks (last: {checks}); "
        "look at the word times of its voices"
    )


def write_corpus(
    folder: Path,
    config: TripletCorpusConfig,
    open_speaker: OpenSpeaker,
    *,
    processes: int = 1,
    gate_boundaries: int = MIN_BOUNDARIES,
    quiet: bool = False,
) -> Path:
    """The manifest of a whole corpus, of which only what was missing is written.

    First that many word boundaries are checked, unless 0. Raises AlignmentGateError where they fail,
    InvalidInputError where the folder holds another corpus, DeadlineError where a block takes longer than
    half an hour.
    """
    _claim(folder, config)
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        return manifest
    if gate_boundaries and not (folder / "alignment.json").is_file():
        with open_speaker() as speaker:
            _check_word_times(folder, config, speaker, gate_boundaries)
    blocks = [
        (split, number)
        for split in splits(config.languages)
        for number in range(-(-config.size(split) // config.block))
    ]
    missing = [block for block in blocks if not _rows(folder, *block).is_file()]
    with Progress(disable=quiet) as progress:
        bar = progress.add_task("making triplets", total=len(blocks), completed=len(blocks) - len(missing))
        _write_blocks(folder, config, open_speaker, missing, processes, lambda: progress.advance(bar))
    write_whole(manifest, "".join(_rows(folder, *block).read_text() for block in blocks))
    return manifest


def _write_blocks(
    folder: Path,
    config: TripletCorpusConfig,
    open_speaker: OpenSpeaker,
    blocks: Sequence[tuple[str, int]],
    processes: int,
    advance: Callable[[], None],
) -> None:
    if processes <= 1:
        with open_speaker() as speaker:
            for split, number in blocks:
                _write_block(folder, config, speaker, split, number)
                advance()
        return
    # Spawned, not forked: a forked child would share the pipes of its parent's speaker.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_open, initargs=(open_speaker,)
    ) as pool:
        pending: set[Future[None]] = {
            pool.submit(_write_block_here, folder, config, split, number) for split, number in blocks
        }
        while pending:
            done, pending = wait(pending, timeout=_BLOCK_DEADLINE_SECONDS, return_when=FIRST_COMPLETED)
            if not done:
                pool.shutdown(wait=False, cancel_futures=True)
                raise DeadlineError(
                    f"no block of {config.block} triplets was finished within {_BLOCK_DEADLINE_SECONDS:g} s; "
                    "start again, what is written stays"
                )
            for job in done:
                job.result()
                advance()


_process_speakers: list[Speaker] = []


def _open(open_speaker: OpenSpeaker) -> None:
    _process_speakers.append(open_speaker().__enter__())  # it ends with the process


def _write_block_here(folder: Path, config: TripletCorpusConfig, split: str, number: int) -> None:
    _write_block(folder, config, _process_speakers[0], split, number)


def _write_block(
    folder: Path, config: TripletCorpusConfig, speaker: Speaker, split: str, number: int
) -> None:
    drawn_from = splits(config.languages)[split]
    rows: list[dict[str, Any]] = []
    first = number * config.block
    for index in range(first, min(first + config.block, config.size(split))):
        triplet, checks, seed = draw(drawn_from, config.seed, index, speaker)
        rows.append(
            write_triplet(
                triplet, checks, folder=folder, place=f"audio/{split}-{number:05}",
                identity=f"{split}-{index:07}", split=split, seed=seed,
            )
        )  # fmt: skip
    write_whole(
        _rows(folder, split, number), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    )


def _check_word_times(folder: Path, config: TripletCorpusConfig, speaker: Speaker, needed: int) -> None:
    from training.data.alignment_gate import check_alignment  # loads plots, which no other process needs

    split = splits()["train"]
    rng = np.random.default_rng([config.seed, 1])

    def spoken() -> Utterance:
        voice = as_spoken(split.voices[rng.integers(len(split.voices))], rng)
        scene = Scene(speaker=speaker, sentences=split.sentences, voice=voice, rng=rng, wordings=())
        return scene.utterance()

    quality = check_alignment((spoken() for _ in range(1000)), speaker, folder / "alignment.html", needed)
    write_whole(folder / "alignment.json", json.dumps({"passed": quality.summary}))


def _claim(folder: Path, config: TripletCorpusConfig) -> None:
    """Writes what the folder is to hold, or makes sure that it holds that."""
    wanted = json.dumps({"version": GENERATOR_VERSION, "config": asdict(config)}, indent=2)
    path = folder / "triplets.json"
    if path.is_file() and path.read_text() != wanted:
        raise InvalidInputError(f"{folder} holds other triplets ({path.read_text()}); choose another folder")
    write_whole(path, wanted)


def _rows(folder: Path, split: str, number: int) -> Path:
    return folder / "rows" / f"{split}-{number:05}.jsonl"
