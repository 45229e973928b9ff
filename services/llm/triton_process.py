"""One running tritonserver and its Python stub."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from pathlib import Path

import psutil

from services.llm.triton_layout import TritonCommand

# The kernel keeps 15 characters of a process's name.
_STUB_NAME = "triton_python_backend_stub"[:15]
_KEPT_LINES = 40
_POLL_SECONDS = 0.1
_AFTER_STUB_SECONDS = 3.0


class TritonProcess:
    """A tritonserver in a process group of its own, so that a terminal's Ctrl-C reaches only us."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._relay = asyncio.create_task(self._relay_log())
        self._stub: psutil.Process | None = None

    @classmethod
    async def start(cls, command: TritonCommand) -> TritonProcess:
        """Starts it; it is not ready yet."""
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
        )
        return cls(process)

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

    async def stop(self, *, timeout: float) -> None:
        """SIGTERM, which lets running generations end; SIGKILL to the whole group after `timeout`.

        Triton would also wait for a stub that is dead, so that wait is cut short.
        """
        if self._process.returncode is None:
            self._process.terminate()
            stub_had_ended = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout):
                    while self._process.returncode is None:
                        if stub_had_ended:
                            break
                        stub_had_ended = self._stub is not None and not self.is_stub_alive()
                        await self._wait(_AFTER_STUB_SECONDS if stub_had_ended else _POLL_SECONDS)
        await self.kill()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._process.wait()

    async def kill(self) -> None:
        """Ends the server and its stub at once; every open stream breaks, so clients know."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        await self._relay

    async def _relay_log(self) -> None:
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            text = line.decode(errors="replace").rstrip()
            self._lines.append(text)
            sys.stderr.write(text + "\n")
            sys.stderr.flush()
