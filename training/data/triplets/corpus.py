"""Writes triplets: in blocks, by several processes, the same bytes for the same seed however often stopped.

Item `i` of a split is a pure function of (seed, split, i). A block's rows are written last, so a block
that has rows is whole, and a build that was stopped writes only what is missing.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from training.data.boundaries import MIN_BOUNDARIES, AlignmentGateError
from training.data.triplets.checks import Checks, check_triplet
from training.data.triplets.make import triplet_in
from training.data.triplets.manifest import GENERATOR_VERSION, write_triplet
from training.data.triplets.source import ClosedSource, Source, Synthetic
from training.data.triplets.triplet import Triplet
from training.data.triplets.understanding import is_understood
from uniaudio.errors import DeadlineError, InvalidInputError
from uniaudio.whole_file import write_whole

_MAX_REJECTED = 32
_BLOCK_DEADLINE_SECONDS = 1800.0
SYNTHETIC = Synthetic()


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


def draw(source: Source, split: str, seed: int, index: int) -> tuple[Triplet, Checks, int]:
    """Item `index` of a split, its checks, and its seed.

    One that cannot be made, fails its checks, or says what the product reads otherwise, is drawn again.
    Raises AlignmentGateError where draw after draw is cut at places that another alignment denies.
    """
    kind = source.kinds[index % len(source.kinds)]
    for attempt in range(_MAX_REJECTED):
        numbers = [seed, zlib.crc32(split.encode()), index, attempt]
        try:
            triplet = triplet_in(source.scene(split, kind, np.random.default_rng(numbers)), kind)
        except InvalidInputError as error:  # this voice says nothing that can be edited so, or cannot be read
            last = error.message
            continue
        checks = check_triplet(triplet, source.second)
        if checks.passed and is_understood(triplet):
            return triplet, checks, zlib.crc32(repr(numbers).encode())
        last = f"{triplet.instruction.text!r}, {checks}"
    raise AlignmentGateError(
        f"item {index} of {split} was drawn {_MAX_REJECTED} times and never passed its checks (last: {last}); "
        "look at its words and their times"
    )


def write_corpus(
    folder: Path,
    config: TripletCorpusConfig,
    source: ClosedSource = SYNTHETIC,
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
    _claim(folder, config, source)
    manifest = folder / "manifest.jsonl"
    if manifest.is_file():
        return manifest
    if gate_boundaries and not (folder / "alignment.json").is_file():
        with source.open(config.languages) as opened:
            _check_word_times(folder, config, opened, gate_boundaries)
    blocks = [
        (split, number)
        for split in source.split_names
        for number in range(-(-config.size(split) // config.block))
    ]
    missing = [block for block in blocks if not _rows(folder, *block).is_file()]
    with Progress(disable=quiet) as progress:
        bar = progress.add_task("making triplets", total=len(blocks), completed=len(blocks) - len(missing))
        _write_blocks(folder, config, source, missing, processes, lambda: progress.advance(bar))
    write_whole(manifest, "".join(_rows(folder, *block).read_text() for block in blocks))
    return manifest


def _write_blocks(
    folder: Path,
    config: TripletCorpusConfig,
    source: ClosedSource,
    blocks: Sequence[tuple[str, int]],
    processes: int,
    advance: Callable[[], None],
) -> None:
    if processes <= 1:
        with source.open(config.languages) as opened:
            for split, number in blocks:
                _write_block(folder, config, opened, split, number)
                advance()
        return
    # Spawned, not forked: a forked child would share the pipes of its parent's speaker.
    with ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_open, initargs=(source, config.languages)
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


_of_process: list[Source] = []


def _open(source: ClosedSource, languages: Sequence[str]) -> None:
    _of_process.append(source.open(languages).__enter__())  # it ends with the process


def _write_block_here(folder: Path, config: TripletCorpusConfig, split: str, number: int) -> None:
    _write_block(folder, config, _of_process[0], split, number)


def _write_block(folder: Path, config: TripletCorpusConfig, source: Source, split: str, number: int) -> None:
    rows: list[dict[str, Any]] = []
    first = number * config.block
    for index in range(first, min(first + config.block, config.size(split))):
        triplet, checks, seed = draw(source, split, config.seed, index)
        rows.append(
            write_triplet(
                triplet, checks, folder=folder, place=f"audio/{split}-{number:05}",
                identity=f"{split}-{index:07}", split=split, seed=seed,
            )
        )  # fmt: skip
    write_whole(
        _rows(folder, split, number), "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    )


def _check_word_times(folder: Path, config: TripletCorpusConfig, source: Source, needed: int) -> None:
    from training.data.alignment_gate import check_alignment  # loads plots, which no other process needs

    sample = source.recordings(np.random.default_rng([config.seed, 1]))
    report = folder / "alignment.html"
    quality = check_alignment(sample, source.second, report, needed, source.demands)
    write_whole(folder / "alignment.json", json.dumps({"passed": quality.summary}))


def _claim(folder: Path, config: TripletCorpusConfig, source: ClosedSource) -> None:
    """Writes what the folder is to hold, or makes sure that it holds that."""
    wanted = json.dumps({"version": GENERATOR_VERSION, "config": asdict(config), **source.about()}, indent=2)
    path = folder / "triplets.json"
    if path.is_file() and path.read_text() != wanted:
        raise InvalidInputError(f"{folder} holds other triplets ({path.read_text()}); choose another folder")
    write_whole(path, wanted)


def _rows(folder: Path, split: str, number: int) -> Path:
    return folder / "rows" / f"{split}-{number:05}.jsonl"
