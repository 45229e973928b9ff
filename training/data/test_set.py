"""The held-out test set that `uniaudio eval synthetic` reads: speech of the corpus, and triplets drawn for it.

Item `i` of a kind is a pure function of (seed, kind, i). `python -m training.data.test_set OUT --corpus DIR`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Protocol

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import track

from training.data.augment.degrade import draw_noise
from training.data.augment.mix import lower_together, mix_at_snr
from training.data.boundaries import by_synthesis
from training.data.corpus import Corpus, Speakers
from training.data.espeak import Speaker
from training.data.triplets.checks import check_triplet
from training.data.triplets.make import make_triplet
from training.data.triplets.manifest import write_triplet
from training.data.triplets.splits import Split, splits
from training.data.triplets.triplet import Kind, Triplet
from training.data.voices import as_spoken
from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.recordings import write_recording
from uniaudio.evaluation.suites.synthetic_data import EDITS, SpeechRow, write_speech
from uniaudio.whole_file import write_whole

KINDS = (
    Kind.DELETE, Kind.INSERT, Kind.SUBSTITUTE, Kind.SPEED, Kind.PITCH, Kind.VOLUME, Kind.DENOISE,
)  # fmt: skip
DENOISE_DB = 5.0
_SPLITS = ("test-seen", "test-new-voice", "test-new-wording")
_MAX_DRAWS = 8


class Recordings(Protocol):
    """What is read of a split of the corpus."""

    def __len__(self) -> int: ...

    def text(self, index: int) -> str: ...

    def voice(self, index: int) -> str: ...

    def waveform(self, index: int) -> NDArray[np.float32]: ...


def write_test_set(
    out: Path,
    known_voices: Recordings,
    new_voices: Recordings,
    speaker: Speaker,
    *,
    num_speech: int,
    num_edits: int,
    seed: int = 0,
) -> None:
    """Writes `speech.jsonl`, `edits.jsonl` and their recordings; what is there already is written again."""
    spoken = (("known", known_voices, False), ("new", new_voices, True))
    write_speech(
        out, [row for name, some, is_new in spoken for row in _speech(out, name, some, num_speech, is_new)]
    )
    known = splits()
    lines = []
    for number in track(range(num_edits * len(KINDS)), description="drawing edits", transient=True):
        kind, index = KINDS[number % len(KINDS)], number // len(KINDS)
        split = known[_SPLITS[index % len(_SPLITS)]]
        lines.append(json.dumps(_edit(out, split, kind, index, seed, speaker), ensure_ascii=False) + "\n")
    write_whole(out / EDITS, "".join(lines))


def _speech(out: Path, name: str, spoken: Recordings, count: int, is_new: bool) -> Iterator[SpeechRow]:
    for index in range(min(count, len(spoken))):
        path = write_recording(out / "speech" / f"{name}-{index:04}.wav", spoken.waveform(index))
        yield SpeechRow(
            id=path.stem,
            audio=path,
            text=spoken.text(index),
            speaker=spoken.voice(index),
            is_new_voice=is_new,
        )


def _edit(out: Path, split: Split, kind: Kind, index: int, seed: int, speaker: Speaker) -> dict[str, Any]:
    for attempt in range(_MAX_DRAWS):
        numbers = [seed, zlib.crc32(f"{split.name} {kind}".encode()), index, attempt]
        rng = np.random.default_rng(numbers)
        voice = as_spoken(split.voices[rng.integers(len(split.voices))], rng)
        triplet = make_triplet(kind, speaker, split.sentences, voice, rng, wordings=split.wordings)
        if kind is Kind.DENOISE:
            triplet = _at_one_level(triplet, rng)
        checks = check_triplet(triplet, by_synthesis(speaker))
        if checks.passed:
            return write_triplet(
                triplet, checks, folder=out, place=f"edits/{kind}", identity=f"{split.name}-{kind}-{index:04}",
                split=split.name, seed=zlib.crc32(repr(numbers).encode()),
            )  # fmt: skip
    raise InvalidInputError(
        f"{kind} {index} of {split.name} never passed its checks in {_MAX_DRAWS} draws: {checks}"
    )


def _at_one_level(triplet: Triplet, rng: np.random.Generator) -> Triplet:
    """The same clean recording in noise at the level that the aims name."""
    clean = triplet.target.waveform
    noisy, clean = lower_together(mix_at_snr(clean, draw_noise(clean.size, rng), DENOISE_DB), clean)
    return replace(
        triplet,
        source=replace(triplet.source, waveform=noisy),
        target=replace(triplet.target, waveform=clean),
        edit=replace(triplet.edit, snr_db=DENOISE_DB, name="mixed"),
    )


def main(
    out: Annotated[Path, typer.Argument(help="Folder to write.")],
    corpus: Annotated[Path, typer.Option(help="The synthetic corpus, with its test splits.")],
    speech: Annotated[int, typer.Option(help="Recordings of known voices, and as many of new ones.")] = 100,
    edits: Annotated[int, typer.Option(help="Edits of each kind.")] = 60,
    seed: Annotated[int, typer.Option(help="Another seed gives other edits.")] = 0,
) -> None:
    """Write the held-out test set."""
    known, new = Corpus.open(corpus, "test"), Corpus.open(corpus, "test-new-voice")
    write_test_set(out, known, new, Speakers(), num_speech=speech, num_edits=edits, seed=seed)


if __name__ == "__main__":
    typer.run(main)
