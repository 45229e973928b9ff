"""The synthetic corpus: written once in shards by several processes, read by index without loading it.

Utterance `i` of a split is a pure function of (seed, split, i): its sentence, its voice, its tempo. So a
build can stop anywhere and go on, on any number of processes, and gives the same bytes.
`python -m training.data.corpus DIR` writes one.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.progress import Progress

from training.data.espeak import EspeakSpeaker, Speaker
from training.data.flite import FliteSpeaker
from training.data.grammar import Grammar, vocabulary
from training.data.pipeline import AudioBatch, Stretch, batch_of
from training.data.utterance import Span, Utterance, Voice
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES, as_spoken, draw_voice
from uniaudio.errors import InvalidInputError
from uniaudio.whole_file import write_whole

_SHARD_UTTERANCES = 250
_FORMAT = 1
_PEAK = 0.97
# Which sentences and which voices make a split; no sentence and no held-out voice is shared.
_SPLITS = {
    "train": ("train", TRAINING_VOICES),
    "dev": ("dev", TRAINING_VOICES),
    "test": ("test", TRAINING_VOICES),
    "test-new-voice": ("test", HELD_OUT_VOICES),
}


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """How many utterances each split has; a training utterance is some 2.7 s long.

    With `drawn_voices`, three in four training utterances are by so many further speakers (drawn_voices.py).
    """

    seed: int = 0
    train: int = 8000
    dev: int = 400
    test: int = 400
    test_new_voice: int = 200
    drawn_voices: int = 0

    def size(self, split: str) -> int:
        """Utterances of a split."""
        if split not in _SPLITS:
            raise InvalidInputError(f"no split {split!r}; there are {', '.join(_SPLITS)}")
        count: int = getattr(self, split.replace("-", "_"))
        return count


class Corpus:
    """One split of a corpus folder: `utterance(i)` reads that one from the disk."""

    def __init__(self, folder: Path, split: str, entries: list[dict[str, Any]]) -> None:
        self._folder, self.split, self._entries = folder, split, entries

    @classmethod
    def open(cls, folder: Path | str, split: str) -> Corpus:
        """The split; InvalidInputError if the folder holds no whole corpus."""
        path = Path(folder) / "corpus.json"
        if not path.is_file():
            raise InvalidInputError(f"{path} is missing: no corpus there, or its build has not finished")
        size = CorpusConfig(**json.loads(path.read_text())["config"]).size(split)
        entries: list[dict[str, Any]] = []
        for number in range(-(-size // _SHARD_UTTERANCES)):
            index = _shard(Path(folder), split, number).with_suffix(".jsonl")
            entries += map(json.loads, index.read_text(encoding="utf-8").splitlines())
        return cls(Path(folder), split, entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Utterance]:
        return (self.utterance(index) for index in range(len(self)))

    def text(self, index: int) -> str:
        """The sentence, without reading audio."""
        text: str = self._entries[index]["text"]
        return text

    def voice(self, index: int) -> str:
        """The name of who speaks, without reading audio."""
        name: str = self._entries[index]["voice"]["name"]
        return name

    def num_samples(self, index: int) -> int:
        """Length of the recording, without reading it."""
        count: int = self._entries[index]["num_samples"]
        return count

    def phones(self, index: int) -> tuple[Span, ...]:
        """The phones of an utterance, without reading audio."""
        return tuple(Span(*span) for span in self._entries[index]["phones"])

    @cached_property
    def by_voice(self) -> dict[str, list[int]]:
        """Indices of each voice's utterances."""
        found: dict[str, list[int]] = {}
        for index in range(len(self)):
            found.setdefault(self.voice(index), []).append(index)
        return found

    def waveform(self, index: int, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Samples of a recording, or a stretch of them, float32."""
        entry = self._entries[index]
        shard = self._audio(index // _SHARD_UTTERANCES)
        stop = entry["num_samples"] if stop is None else min(stop, entry["num_samples"])
        stretch = shard[entry["offset"] + start : entry["offset"] + stop]
        return np.asarray(stretch, dtype=np.float32) / 32768

    def load(self, stretches: Sequence[Stretch]) -> AudioBatch:
        """Several stretches of recordings as a batch."""
        return batch_of([self.waveform(s.index, s.start, s.stop) for s in stretches])

    def utterance(self, index: int) -> Utterance:
        """Everything about one utterance."""
        entry = self._entries[index]
        return Utterance(
            text=entry["text"],
            voice=Voice(**entry["voice"]),
            waveform=self.waveform(index),
            words=tuple(Span(*span) for span in entry["words"]),
            phones=self.phones(index),
        )

    def _audio(self, number: int) -> NDArray[np.int16]:
        # Mapped anew for every read: cheap, safe across threads, and no shard stays resident.
        audio: NDArray[np.int16] = np.load(_shard(self._folder, self.split, number), mmap_mode="r")
        return audio


class Speakers:
    """Both engines behind one `speak`; peaks above 0.97 are scaled down, so that nothing clips."""

    def __init__(self) -> None:
        self._espeak = EspeakSpeaker()
        self._engines: dict[str, Speaker] = {"espeak-ng": self._espeak, "flite": FliteSpeaker()}

    def __enter__(self) -> Speakers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._espeak.close()

    def speak(self, text: str, voice: Voice) -> Utterance:
        """The text, spoken by the voice's engine."""
        spoken = self._engines[voice.engine].speak(text, voice)
        peak = float(np.abs(spoken.waveform).max())
        return replace(spoken, waveform=spoken.waveform * min(1.0, _PEAK / peak)) if peak > 0 else spoken


def draw_utterance(speakers: Speakers, seed: int, split: str, index: int, drawn_voices: int = 0) -> Utterance:
    """Utterance `index` of a split; a sentence whose words cannot be timed is drawn again."""
    sentences, voices = _SPLITS[split]
    rng = np.random.default_rng([seed, zlib.crc32(split.encode()), index])
    grammar = Grammar(sentences)
    voice = draw_voice(voices, drawn_voices if split == "train" else 0, rng)
    for _ in range(20):
        try:
            return speakers.speak(grammar.sentence(rng), as_spoken(voice, rng))
        except InvalidInputError as error:
            refused = error
    raise refused


def build_corpus(folder: Path, config: CorpusConfig, *, processes: int, quiet: bool = False) -> None:
    """Writes what is missing of the corpus, shard by shard; returns when it is whole."""
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "corpus.json"
    description = {"format": _FORMAT, "config": asdict(config), "content": _content()}
    if done.is_file():
        found = json.loads(done.read_text())
        if {**found, "config": asdict(CorpusConfig(**found["config"]))} != description:
            raise InvalidInputError(
                f"{folder} holds another corpus ({found['config']}), or one of other voices or words; choose "
                "another folder"
            )
        return
    missing = [
        (split, number)
        for split in _SPLITS
        for number in range(-(-config.size(split) // _SHARD_UTTERANCES))
        if not _shard(folder, split, number).is_file()
    ]
    with Progress(disable=quiet) as progress, ProcessPoolExecutor(processes) as pool:
        bar = progress.add_task("synthesising speech", total=len(missing))
        jobs = [pool.submit(_write_shard, folder, config, split, number) for split, number in missing]
        for job in as_completed(jobs):
            job.result()
            progress.advance(bar)
    write_whole(done, json.dumps(description, indent=2))


def _content() -> int:
    """What tells the voices and words of this version from another's."""
    return zlib.crc32(repr((TRAINING_VOICES, HELD_OUT_VOICES, vocabulary())).encode())


def _write_shard(folder: Path, config: CorpusConfig, split: str, number: int) -> None:
    first = number * _SHARD_UTTERANCES
    indices = range(first, min(first + _SHARD_UTTERANCES, config.size(split)))
    speakers = _speakers()
    spoken = [draw_utterance(speakers, config.seed, split, index, config.drawn_voices) for index in indices]
    path = _shard(folder, split, number)
    write_whole(path.with_suffix(".jsonl"), "".join(_entries(spoken)))
    audio = np.concatenate([np.round(u.waveform * 32767).astype(np.int16) for u in spoken])
    part = path.with_suffix(f".{os.getpid()}.part")
    with part.open("wb") as file:
        np.save(file, audio)
    part.replace(path)


def _entries(spoken: Sequence[Utterance]) -> Iterator[str]:
    offset = 0
    for utterance in spoken:
        yield (
            json.dumps(
                {
                    "text": utterance.text,
                    "voice": asdict(utterance.voice),
                    "offset": offset,
                    "num_samples": len(utterance.waveform),
                    "words": [(s.label, s.start, s.end) for s in utterance.words],
                    "phones": [(s.label, s.start, s.end) for s in utterance.phones],
                }
            )
            + "\n"
        )
        offset += len(utterance.waveform)


_process_speakers: list[Speakers] = []


def _speakers() -> Speakers:
    """The process's own speakers, started once."""
    if not _process_speakers:
        _process_speakers.append(Speakers())
    return _process_speakers[0]


def _shard(folder: Path, split: str, number: int) -> Path:
    return folder / f"{split}-{number:05}.npy"


def main(
    folder: Annotated[Path, typer.Argument(help="Where to write, or go on writing, the corpus.")],
    seed: Annotated[int, typer.Option(help="Another seed gives other sentences.")] = 0,
    train: Annotated[int, typer.Option(help="Training utterances, some 2.7 s each.")] = 8000,
    processes: Annotated[int, typer.Option(help="Processes that speak at once.")] = 2,
) -> None:
    """Write the synthetic corpus; an interrupted build goes on where it stopped."""
    build_corpus(folder, CorpusConfig(seed=seed, train=train), processes=processes)


if __name__ == "__main__":
    typer.run(main)
