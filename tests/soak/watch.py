"""What a stack takes up while it works: memory, open files and threads of each kind of process, and shared memory."""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from uniaudio.stack.processes import descendants

_SHARED_MEMORY = Path("/dev/shm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_KINDS = (
    ("orchestrator", re.compile(r"services\.orchestrator")),
    ("gateway", re.compile(r"services\.gateway")),
    ("Triton", re.compile(r"tritonserver")),
    ("engine", re.compile(r"triton_python_backend_stub")),
    ("LLM service", re.compile(r"services\.llm")),
    ("tokenizer replica", re.compile(r"ray::ServeReplica")),
    ("tokenizer service", re.compile(r"services\.tokenizer")),
    ("Ray", re.compile(r"ray::|raylet|gcs_server|[/ ]ray/|haproxy", re.IGNORECASE)),
    ("uniaudio up", re.compile(r"uniaudio\.(cli|stack)")),
)


@dataclass(frozen=True)
class Sample:
    """One look at one thing that must not grow."""

    seconds: float
    kind: str
    measure: str
    """"rss" in bytes, "files" and "threads" in number, "shm" in bytes."""
    value: float


def look(pid: int, began: float) -> list[Sample]:
    """What everything at and below `pid` takes up now; seconds since `began`, monotonic."""
    seconds = time.monotonic() - began
    resident: dict[str, float] = defaultdict(float)
    files: dict[str, float] = defaultdict(float)
    threads: dict[str, float] = defaultdict(float)
    for process in (pid, *descendants(pid)):
        folder = Path("/proc") / str(process)
        try:
            kind = _kind((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            pages = int((folder / "statm").read_text().split()[1])
            num_files, num_threads = len(os.listdir(folder / "fd")), len(os.listdir(folder / "task"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended between two looks
        resident[kind] += pages * _PAGE_BYTES
        files[kind] += num_files
        threads[kind] += num_threads
    shared = sum(_sizes(_SHARED_MEMORY.rglob("*")))
    return [
        *(Sample(seconds, kind, "rss", value) for kind, value in resident.items()),
        *(Sample(seconds, kind, "files", value) for kind, value in files.items()),
        *(Sample(seconds, kind, "threads", value) for kind, value in threads.items()),
        Sample(seconds, "all", "shm", shared),
    ]


def _kind(command: str) -> str:
    return next((kind for kind, pattern in _KINDS if pattern.search(command)), "others")


def _sizes(paths: Iterable[Path]) -> Iterable[int]:
    for path in paths:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        yield status.st_blocks * 512
