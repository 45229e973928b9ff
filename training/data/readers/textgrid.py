"""Meetings with TextGrid transcripts, a tier a speaker: AliMeeting and AISHELL-4."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training.data.manifest import Row
from training.data.readers.collector import Collector, found
from training.data.readers.texts import without_marks
from uniaudio.errors import InvalidInputError

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|(?:^|(?<=[\s=]))(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)(?=\s|$)')


@dataclass(frozen=True)
class Tier:
    """The intervals `(start_s, end_s, text)` of one tier."""

    name: str
    intervals: tuple[tuple[float, float, str], ...]


def alimeeting(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<split>_Ali_{near,far}/{audio_dir,textgrid_dir}`, for Eval and Test inside `<split>_Ali/`.

    Where the headsets (near) are there, they are taken, one recording a speaker; else the first channel of
    the array (far).
    """
    for split in ("Train", "Eval", "Test"):
        names = [f"{split}_Ali/{split}_Ali", f"{split}_Ali"]
        folders = [folder / f"{name}_{side}" for side in ("near", "far") for name in names]
        chosen = next((path for path in folders if (path / "textgrid_dir").is_dir()), None)
        if chosen is not None:
            audio = {path.stem: path for path in sorted((chosen / "audio_dir").rglob("*.wav"))}
            for grid in found(chosen / "textgrid_dir", "**/*.TextGrid", "transcripts"):
                recording = next((path for stem, path in audio.items() if stem.startswith(grid.stem)), None)
                yield from _meeting(collector, grid, recording, split.lower(), _last_part)
    if not list(folder.glob("*_Ali*")):
        found(folder, "*_Ali*", "Train_Ali_near, Eval_Ali, ...")


def aishell4(folder: Path, collector: Collector) -> Iterator[Row]:
    """`<part>/wav/<meeting>.flac` (8 channels, the first is taken) and `<part>/TextGrid/<meeting>.TextGrid`.

    The names of speakers hold for one meeting only, so the meeting's name is put before them.
    """
    for audio in found(folder, "*/wav/*.flac", "recordings of train_L, train_M, train_S, test"):
        part = audio.parent.parent
        grid = part / "TextGrid" / f"{audio.stem}.TextGrid"
        if grid.is_file():
            yield from _meeting(collector, grid, audio, part.name, "{}/{}".format)
        else:
            collector.skip("it has no TextGrid", str(audio))


def _meeting(
    collector: Collector, grid: Path, audio: Path | None, split: str, speaker: Callable[[str, str], str]
) -> Iterator[Row]:
    """The utterances of a meeting; `speaker` names who speaks by the names of the grid and the tier."""
    if audio is None:
        return collector.skip("the recording is missing", str(grid))
    try:
        tiers = read_textgrid(grid)
    except InvalidInputError as error:  # known of a few published files
        return collector.skip("its TextGrid is malformed", error.message)
    for tier in tiers:
        for number, (start, end, text) in enumerate(tier.intervals):
            if text.strip():
                yield from collector.row(
                    id=f"{grid.stem}-{tier.name}-{number:04d}",
                    audio=audio,
                    split=split,
                    text=without_marks(text),
                    language="Chinese",
                    speaker=speaker(grid.stem, tier.name),
                    channel=0,
                    seconds=(start, end),
                )


def _last_part(*names: str) -> str:
    """The `SPK...` that ends the name of a tier, or of a headset's file."""
    parts = [name.rpartition("_")[2] for name in names]
    return next((part for part in reversed(parts) if part.startswith("SPK")), "/".join(names))


def read_textgrid(path: Path) -> list[Tier]:
    """The interval tiers of a TextGrid, long or short, UTF-8 or UTF-16; raises InvalidInputError."""
    content = path.read_bytes()
    encoding = "utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return list(_tiers(_Tokens(content.decode(encoding))))
    except ValueError as error:
        raise InvalidInputError(f"{path} is no whole TextGrid ({error}); restore the file") from error


class _Tokens:
    """The texts and numbers of a TextGrid in order: all that counts of both of its forms."""

    def __init__(self, content: str) -> None:
        self._matches = _TOKEN.finditer(content)

    def text(self) -> str:
        match = self._next()
        if match[1] is None:
            raise ValueError(f"{match[2]} stands where a text should")
        return match[1].replace('""', '"')

    def number(self) -> float:
        match = self._next()
        if match[2] is None:
            raise ValueError(f"{match[1][:40]!r} stands where a number should")
        return float(match[2])

    def _next(self) -> re.Match[str]:
        match = next(self._matches, None)
        if match is None:
            raise ValueError("it ends early")
        return match


def _tiers(tokens: _Tokens) -> Iterator[Tier]:
    if (tokens.text(), tokens.text()) != ("ooTextFile", "TextGrid"):
        raise ValueError("it does not begin as one")
    tokens.number(), tokens.number()
    for _ in range(int(tokens.number())):
        kind, name = tokens.text(), tokens.text()
        tokens.number(), tokens.number()
        count = int(tokens.number())
        if kind == "IntervalTier":
            spans = ((tokens.number(), tokens.number(), tokens.text()) for _ in range(count))
            yield Tier(name, tuple(spans))
        else:
            for _ in range(count):
                tokens.number(), tokens.text()
