"""Recordings from files and standard input, audio to files and standard output."""

from __future__ import annotations

import os
import struct
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import typer

from uniaudio.errors import UniaudioError

if TYPE_CHECKING:
    from uniaudio.client import AudioSource, OutputFormat
    from uniaudio.v1.provenance_pb2 import Provenance

STANDARD = "-"
FORMATS: dict[str, OutputFormat] = {
    "wav": "wav",
    "flac": "flac",
    "ogg": "ogg",
    "mp3": "mp3",
    "opus": "opus",
    "pcm": "pcm",
}
_BY_ENDING: dict[str, OutputFormat] = {
    ".wav": "wav",
    ".wave": "wav",
    ".flac": "flac",
    ".ogg": "ogg",
    ".oga": "ogg",
    ".mp3": "mp3",
    ".opus": "opus",
    ".pcm": "pcm",
    ".raw": "pcm",
}
_MAX_STDIN_BYTES = (64 << 20) + 1
_WAV_HEADER_BYTES = 44


def choose_format(output: str, asked: str | None) -> OutputFormat:
    """The format that was asked for, or the one that the file's ending says; WAV for standard output."""
    if asked is not None:
        if asked not in FORMATS:
            raise typer.BadParameter(
                f"{asked!r} is not known; use one of {', '.join(FORMATS)}.", param_hint="--format"
            )
        return FORMATS[asked]
    if output == STANDARD:
        return "wav"
    ending = Path(output).suffix.lower()
    if ending not in _BY_ENDING:
        raise typer.BadParameter(
            f"The ending of {output!r} names no format; use one of {', '.join(_BY_ENDING)}, or add --format.",
            param_hint="--output",
        )
    return _BY_ENDING[ending]


def read_recording(source: str, pcm_rate: int | None) -> AudioSource:
    """The recording behind an argument: a path, or the bytes of standard input; raw samples with their rate."""
    if pcm_rate is None:
        return existing_file(source) if source != STANDARD else read_standard_input()
    from uniaudio.v1 import audio_pb2

    content = read_standard_input() if source == STANDARD else existing_file(source).read_bytes()
    layout = audio_pb2.AudioFormat(
        encoding=audio_pb2.AUDIO_ENCODING_PCM_S16LE, sample_rate=pcm_rate, num_channels=1
    )
    return audio_pb2.Audio(format=layout, content=content)


def read_at_most(source: str, max_bytes: int) -> bytes:
    """The bytes of a file or of standard input; one beyond the limit is enough for the refusal that follows."""
    if source == STANDARD:
        return read_standard_input()[: max_bytes + 1]
    with existing_file(source).open("rb") as file:
        return file.read(max_bytes + 1)


def existing_file(path: str) -> Path:
    """The path of a file that can be read; a usage error otherwise."""
    found = Path(path)
    if not found.exists():
        raise typer.BadParameter(f"There is no file {path!r}.")
    if found.is_dir():
        raise typer.BadParameter(f"{path!r} is a folder, not a file.")
    return found


def read_standard_input() -> bytes:
    """All of standard input, as far as anything takes it."""
    if sys.stdin.isatty():
        raise typer.BadParameter(
            '"-" reads standard input, which is this terminal: pipe a file in, or name one.'
        )
    # One byte beyond the limit is enough for the refusal that follows.
    return sys.stdin.buffer.read(_MAX_STDIN_BYTES)


def check_output(output: str, inputs: Sequence[str], *, as_json: bool) -> None:
    """Refuses, before any work, an output that would destroy an input or garble a terminal."""
    if output == STANDARD:
        if as_json:
            raise typer.BadParameter(
                "Standard output cannot carry both: name a file with --json.", param_hint="--output"
            )
        if sys.stdout.isatty():
            raise typer.BadParameter(
                '"-" is this terminal, which cannot take audio: name a file, or pipe it on.',
                param_hint="--output",
            )
        return
    path = Path(output)
    for source in inputs:
        if source != STANDARD and path.exists() and Path(source).exists() and path.samefile(source):
            raise typer.BadParameter(f"{output!r} is the input: choose another name.", param_hint="--output")
    if path.is_dir():
        raise typer.BadParameter(f"{output!r} is a folder: add a file name.", param_hint="--output")
    if not path.parent.is_dir():
        raise typer.BadParameter(
            f"There is no folder {str(path.parent)!r}: make it first.", param_hint="--output"
        )


@contextmanager
def writing(output: str, *, is_wav: bool = False) -> Iterator[BinaryIO]:
    """A stream into standard output or a file. The file appears when all is written, or not at all.

    A WAV that was streamed gets its true length at the end, where the output is a file.
    """
    if output == STANDARD:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if path.exists() and not path.is_file():
        with path.open("wb") as device:  # /dev/null, a named pipe
            yield device
        return
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
            if is_wav:
                _set_wav_length(file)
        _take_ordinary_mode(part)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)


def write_manifest(path: str | None, provenance: Provenance) -> None:
    """Writes an answer's signed manifest where a file was named for it."""
    if path is None:
        return
    if not provenance.manifest:
        raise UniaudioError("the server signs no manifests, so there is none to write", reason="NO_MANIFEST")
    with writing(path) as file:
        file.write(provenance.manifest.encode("ascii") + b"\n")


def _set_wav_length(file: BinaryIO) -> None:
    size = file.seek(0, os.SEEK_END)
    if size < _WAV_HEADER_BYTES:
        return
    for offset, value in ((4, size - 8), (40, size - _WAV_HEADER_BYTES)):
        file.seek(offset)
        file.write(struct.pack("<I", value))


def _take_ordinary_mode(path: str) -> None:
    """What the file would have had without its temporary name (which starts out private)."""
    umask = os.umask(0)
    os.umask(umask)
    Path(path).chmod(0o666 & ~umask)
