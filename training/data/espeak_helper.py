"""The process that holds espeak-ng's library: requests come in as lines, samples and events go out.

It is a process of its own for two reasons: espeak-ng is GPL, and it repeats itself exactly only in a
fresh process. So every sentence is spoken by a child forked from this small, initialised parent.

A request is one JSON line `{text, voice, variant, traits, rate, pitch, range}`: `traits`, where there are some, are
the content of the file of a variant that espeak-ng does not have itself. The answer is one JSON line with
`sample_rate`, `num_bytes` and `events` (`[kind, sample, text_position, length, name]`) and then that many
bytes of 16-bit samples; or a line with `error`.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_RATE, _PITCH, _RANGE = 1, 3, 4
_SYNCHRONOUS = 2
_WITH_PHONEME_EVENTS, _DONT_EXIT = 0x0001, 0x8000
_UTF8 = 1
_KINDS = {1: "word", 7: "phone", 5: "end"}


class _Name(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Name),
    )


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def serve() -> None:
    """Answers requests until standard input ends."""
    name = ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1"
    try:
        library = ctypes.CDLL(name)
    except OSError as error:
        _answer({"error": f"espeak-ng is missing ({error}); install it (Debian: apt-get install espeak-ng)"})
        return
    with TemporaryDirectory(prefix="uniaudio-espeak-") as folder:
        variants = _extended(_data_of(library), Path(folder))
        sample_rate = _initialise(library, folder)
        if sample_rate <= 0:
            _answer({"error": "espeak-ng did not start: its data is missing (Debian: espeak-ng-data)"})
            return
        _answer({"ready": True, "sample_rate": sample_rate})
        _serve(library, sample_rate, variants)


def _initialise(library: Any, folder: str | None) -> int:
    path = None if folder is None else folder.encode()
    sample_rate: int = library.espeak_Initialize(_SYNCHRONOUS, 500, path, _WITH_PHONEME_EVENTS | _DONT_EXIT)
    return sample_rate


def _data_of(library: Any) -> Path:
    """The folder of the data that is installed: a child asks, since a process initialises the library once."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        found = ctypes.c_char_p()
        _initialise(library, None)
        library.espeak_Info(ctypes.byref(found))
        os.write(writing, found.value or b"")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        path = Path(pipe.read())
    os.wait()
    return path


def _extended(data: Path, folder: Path) -> Path:
    """The same data below a folder, by links; returns the place where further variants may be written."""
    variants = folder / "espeak-ng-data/voices/!v"
    variants.mkdir(parents=True)
    for level in (data, data / "voices", data / "voices/!v"):
        for path in level.iterdir():
            link = folder / "espeak-ng-data" / path.relative_to(data)
            if not link.exists():
                link.symlink_to(path)
    return variants


def _serve(library: Any, sample_rate: int, variants: Path) -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            request = json.loads(line)
            with _known(variants / request["variant"], request["traits"]):
                _answer(*_speak(library, sample_rate, request))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status != 0:
            _answer({"error": f"espeak-ng ended with status {status} on {line.strip()[:200]}"})


@contextmanager
def _known(path: Path, traits: str) -> Iterator[None]:
    """Meanwhile there is such a variant; it goes again, because espeak-ng reads some 350 of them at most."""
    if not traits:
        yield
        return
    path.write_text(traits)
    try:
        yield
    finally:
        path.unlink()


def _speak(library: Any, sample_rate: int, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    pieces: list[bytes] = []
    events: list[tuple[str, int, int, int, str]] = []

    def heard(samples: Any, num_samples: int, found: Any) -> int:
        if num_samples > 0:
            pieces.append(ctypes.string_at(samples, 2 * num_samples))
        index = 0
        while found[index].type != 0:
            event = found[index]
            if event.type in _KINDS:
                label = event.id.string.decode("utf-8", "replace") if event.type == 7 else ""
                events.append((_KINDS[event.type], event.sample, event.text_position, event.length, label))
            index += 1
        return 0

    callback = _CALLBACK(heard)
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(request["voice"].encode()) != 0:
        return {"error": f"espeak-ng has no voice {request['voice']!r}; see `espeak-ng --voices`"}, b""
    for parameter, field in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
        library.espeak_SetParameter(parameter, int(request[field]), 0)
    text = request["text"].encode()
    status = library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
    if status != 0:
        return {"error": f"espeak-ng refused {request['text'][:200]!r} with status {status}"}, b""
    audio = b"".join(pieces)
    return {"sample_rate": sample_rate, "num_bytes": len(audio), "events": events}, audio


def _answer(header: dict[str, Any], audio: bytes = b"") -> None:
    out = sys.stdout.buffer
    out.write(json.dumps(header).encode() + b"\n")
    out.write(audio)
    out.flush()


if __name__ == "__main__":
    serve()
