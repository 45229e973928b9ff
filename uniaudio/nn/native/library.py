"""Loads the kernels that an image brings, or builds them with the machine's own compiler for its own processor."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from uniaudio.errors import UnavailableError
from uniaudio.nn.native.prebuilt import find_prebuilt

logger = logging.getLogger(__name__)

# -O3 makes GCC spill the sums of some tiles.
_FLAGS = (
    "-O2",
    "-std=c++20",
    "-fPIC",
    "-shared",
    "-pthread",
    "-fno-math-errno",
    "-fno-strict-aliasing",
)
_NATIVE = ("-march=native",)
_COMPILERS = ("c++", "g++", "clang++")
_BUILD_SECONDS = 300
_SOURCES = Path(__file__).parent
_building = threading.Lock()

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_longlong
_SIGNATURES: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "ua_has_bf16": (_INT, ()),
    "ua_pack": (_POINTER, (_INT, _INT, _INT, _INT, _POINTER, _POINTER)),
    "ua_free_matrix": (None, (_POINTER,)),
    "ua_multiply": (_INT, (_POINTER, _INT, _POINTER, _POINTER, ctypes.c_float, _INT, _POINTER, _INT)),
    "ua_new_stack": (_POINTER, (_POINTER, _POINTER, ctypes.c_float, _POINTER)),
    "ua_free_stack": (None, (_POINTER,)),
    "ua_set_vector": (_INT, (_POINTER, _INT, _INT, _POINTER, _INT)),
    "ua_set_matrix": (None, (_POINTER, _INT, _INT, _INT, _POINTER)),
    "ua_block_bytes": (_LONG, (_POINTER,)),
    "ua_set_elsewhere": (None, (_POINTER, _POINTER, _POINTER)),
    "ua_apply_held": (_INT, (_POINTER, _INT, _INT, _POINTER, _POINTER, _POINTER, _INT)),
    "ua_forward": (_INT, (_POINTER, _INT, *[_POINTER] * 4, _INT, _POINTER, _POINTER, _INT)),
    "ua_new_flow_head": (_POINTER, (*[_POINTER] * 4, _INT, _INT)),
    "ua_free_flow_head": (None, (_POINTER,)),
    "ua_solve": (_INT, (_POINTER, _INT, _INT, *[_POINTER] * 8, _INT, _POINTER, _POINTER, _INT)),
}


@cache
def load_kernels() -> ctypes.CDLL:
    """The kernels' library; where none comes along, the first call on a machine compiles it, which takes seconds.

    Raises:
        UnavailableError: there is no C++ compiler, or it cannot compile them; torch's own products
            do the same work more slowly.
    """
    with _building:
        library = ctypes.CDLL(str(_built()))
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def kernels_reason() -> str | None:
    """Why the kernels cannot be had here; None when they can."""
    try:
        load_kernels()
    except UnavailableError as error:
        return error.message
    return None


def sources_digest(*beside: str) -> str:
    """Names the kernels' sources, their flags, and what else a build depends on."""
    digest = hashlib.sha256("\0".join((*_FLAGS, *beside)).encode())
    for path in sorted(path for path in _SOURCES.iterdir() if path.suffix in (".h", ".cpp")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def find_compiler() -> str:
    """The machine's C++ compiler; raises UnavailableError where there is none."""
    compiler = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if compiler is None:
        raise _unavailable("no C++ compiler is installed", "install one (Debian: apt-get install g++)")
    return compiler


def _built() -> Path:
    processor = _processor()
    if (prebuilt := find_prebuilt(sources_digest(), frozenset(processor.split()))) is not None:
        return prebuilt
    compiler = find_compiler()
    target = _folder() / f"kernels-{sources_digest(*_NATIVE, compiler, processor)}.so"
    with _alone(target.parent):
        if not target.is_file():
            compile_kernels(compiler, _NATIVE, target)
    return target


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, so that processes that start together compile once."""
    deadline = time.monotonic() + _BUILD_SECONDS
    with (folder / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise _unavailable(
                        f"another process has compiled for over {_BUILD_SECONDS} s",
                        "try again on a calm machine",
                    ) from None
                time.sleep(0.1)
        yield


def compile_kernels(compiler: str, flags: Sequence[str], target: Path) -> None:
    """Writes the library for the processors that `flags` name; raises UnavailableError where that fails."""
    logger.info("compiling the CPU kernels with %s into %s", compiler, target)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        command = [compiler, *flags, *_FLAGS, "-o", str(made), str(_SOURCES / "api.cpp")]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                encoding="utf-8",  # a compiler quotes so even where the locale says ASCII, as in Triton
                errors="replace",
                timeout=_BUILD_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _unavailable(
                f"compiling took over {_BUILD_SECONDS} s", "try again on a calm machine"
            ) from error
        if done.returncode:
            raise _unavailable(f"{compiler} failed: {done.stderr[-500:]}", "install g++ 12 or later")
        os.replace(made, target)


def _folder() -> Path:
    """The user's cache, or a temporary folder of this user where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for folder in (
        Path(base) / "uniaudio-kernels",
        Path(tempfile.gettempdir()) / f"uniaudio-kernels-{os.getuid()}",
    ):
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK) and folder.stat().st_uid == os.getuid():
            return folder
    raise _unavailable("no folder can be written for the compiled kernels", "set XDG_CACHE_HOME to one")


def _processor() -> str:
    """What `-march=native` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.machine())


def _unavailable(what: str, remedy: str) -> UnavailableError:
    return UnavailableError(
        f"the CPU kernels cannot be built: {what}; {remedy}",
        value=what,
        limit="a working C++ compiler",
        remedy=remedy,
    )
