"""One running tritonserver and its Python stub."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from services.llm.triton_layout import TritonCommand

# The kernel keeps 15 characters of a process's name.
_STUB_NAME = "triton_python_backend_stub"[:15]
_KEPT_LINES = 40
_POLL_SECONDS = 0.1
_UNLOAD_SECONDS = 5.0
_REAP_TRIES = 50
_PR_SET_CHILD_SUBREAPER = 36
_INFO_LINE = re.compile(r"I\d{4} ")
_FATAL_LINE = re.compile(r"Signal \((4|6|7|8|11)\) received")
# Triton prints its options and models as tables between info lines.
_TABLE_LINE = re.compile(r"\+[-+]+\+$|\|.*\|$|$")
_LONGEST_LINE_BYTES = 1 << 20


class TritonProcess:
    """A tritonserver in a process group of its own, so that a terminal's Ctrl-C reaches only us.

    `fatal_signal` is set when it says that it was hit by one: it then writes a stack trace, for which it
    may wait for ever where its memory is damaged, and serves nobody meanwhile.
    """

    def __init__(self, process: asyncio.subprocess.Process, *, shows_info: bool) -> None:
        self._process = process
        self._shows_info = shows_info
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._relay = asyncio.create_task(self._relay_log())
        self._stub: psutil.Process | None = None
        self.fatal_signal: int | None = None

    @classmethod
    async def start(cls, command: TritonCommand, *, shows_info: bool = False) -> TritonProcess:
        """Starts it; it is not ready yet. `shows_info` relays all of Triton's log, not only what matters."""
        child = Path(__file__).with_name("bound_child.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-S",
            "-E",
            str(child),
            *command.arguments,
            env=command.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            limit=_LONGEST_LINE_BYTES,
        )
        return cls(process, shows_info=shows_info)

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def stub_pid(self) -> int | None:
        """The process id of the stub that holds the model, once `find_stub` saw it."""
        return None if self._stub is None else self._stub.pid

    @property
    def exit_code(self) -> int | None:
        """The server's exit code, or None while it runs."""
        return self._process.returncode

    @property
    def last_lines(self) -> list[str]:
        """The end of its log."""
        return list(self._lines)

    def find_stub(self) -> bool:
        """Looks for the stub among the server's children and remembers it."""
        try:
            children = psutil.Process(self.pid).children()
        except psutil.NoSuchProcess:
            return False
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.name()[:15] == _STUB_NAME:
                    self._stub = child
                    return True
        return False

    def is_stub_alive(self) -> bool:
        """Whether the remembered stub runs; a killed one stays as a zombie that Triton never collects."""
        if self._stub is None:
            return False
        try:
            return self._stub.is_running() and self._stub.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def stop(self, *, timeout: float, is_idle: Callable[[], Awaitable[bool]]) -> None:
        """SIGTERM, which lets running generations end; SIGKILL to the whole group after `timeout`.

        Triton then waits for its model to unload, in vain if the stub is dead or a client gave a stream
        up at the wrong moment; so once `is_idle` says that nothing runs, that wait is cut short.
        """
        if self._process.returncode is None:
            self._process.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    # Neither a dead stub nor an idle engine sends a signal that could be awaited.
                    while self._process.returncode is None and self.is_stub_alive() and not await is_idle():  # noqa: ASYNC110
                        await asyncio.sleep(_POLL_SECONDS)
                    async with asyncio.timeout(_UNLOAD_SECONDS):
                        await self._process.wait()
        await self.kill()

    async def kill(self) -> None:
        """Ends the server and its stub at once; every open stream breaks, so clients know."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._relay
        await self._reap_group()

    async def _reap_group(self) -> None:
        """Collects what the server left: its stub and helpers became our children when it was killed."""
        for _ in range(_REAP_TRIES):
            try:
                collected, _status = os.waitpid(-self._process.pid, os.WNOHANG)  # noqa: ASYNC222 - does not block
            except ChildProcessError:
                return  # nobody is left
            if not collected:
                await asyncio.sleep(_POLL_SECONDS)

    async def _relay_log(self) -> None:
        assert self._process.stdout is not None
        while line := await _next_line(self._process.stdout):
            text = line.decode(errors="replace").rstrip()
            if not self._shows_info and _INFO_LINE.match(text):
                continue
            self._lines.append(text)
            if fatal := _FATAL_LINE.match(text):
                self.fatal_signal = int(fatal[1])
            if self._shows_info or not _TABLE_LINE.match(text):
                sys.stderr.write(text + "\n")
                sys.stderr.flush()


async def _next_line(stream: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end; one that is longer than the limit is left out, not the end."""
    try:
        return await stream.readline()
    except ValueError:
        return b"(a line that was too long was left out)\n"


def adopt_orphans() -> None:
    """Makes this process the parent of its descendants' orphans, so that none stays a zombie."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)
