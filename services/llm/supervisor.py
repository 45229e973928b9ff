"""Keeps one Triton with one model process answering, and says so only while that is true.

Triton does not notice when its Python stub dies: it stays "ready", and streams in flight hang. So the
stub is watched here. When it is gone or hangs, the whole server is killed, which breaks every stream
at once (clients can try again) and closes the ports (readiness is false), and a new one is started.
Ranks that hold experts here are watched, too: one that ended or does not answer is started again, and
rank 0, inside Triton, stays.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
import urllib.request
from pathlib import Path

from services.llm.local_ranks import LocalRanks
from services.llm.restart_budget import RestartBudget
from services.llm.settings import LlmSettings
from services.llm.triton_layout import TritonCommand, lay_out, remove_stale_shm
from services.llm.triton_process import TritonProcess, adopt_orphans
from uniaudio.errors import RankLostError, StartupError, UnavailableError, UniaudioError
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.ports import require_free_port
from uniaudio.runtime.tls import ClientTlsSettings, ServerTlsSettings
from uniaudio.v1 import llm_pb2

log = get_logger(__name__)

_WATCH_SECONDS = 0.1
_MISSES_BEFORE_RESTART = 3
_WARM_UP_SECONDS = 60.0
_BUSY_METRICS = ("uniaudio_engine_running{", "uniaudio_engine_waiting{")


class Supervisor:
    """Runs until `stop` is called or Triton cannot be kept alive."""

    def __init__(
        self,
        settings: LlmSettings,
        server_tls: ServerTlsSettings | None = None,
        client_tls: ClientTlsSettings | None = None,
    ) -> None:
        self._settings = settings
        self._server_tls = server_tls
        self._stopping = asyncio.Event()
        self._client = LlmClient(
            _dial(settings), silence_seconds=settings.probe_timeout_seconds, tls=client_tls
        )
        self._budget = RestartBudget("Triton", settings.max_restarts)
        self._ranks = LocalRanks(settings, os.environ)
        self.ready = asyncio.Event()
        self.process: TritonProcess | None = None

    def stop(self) -> None:
        """Asks `run` to drain and return."""
        self._stopping.set()

    async def run(self) -> None:
        """Starts Triton and keeps it. Raises StartupError where it cannot start or stay."""
        self._check()
        adopt_orphans()
        folder = Path(tempfile.mkdtemp(prefix="uniaudio-llm-"))
        try:
            environ = {**os.environ, **self._ranks.environment()}
            command = lay_out(self._settings, folder, environ, self._server_tls)
            await self._keep_running(command)
        except OSError as error:
            raise StartupError(f"cannot lay out Triton's files in {folder}: {error}") from error
        finally:
            self.ready.clear()
            if self.process is not None:
                await self.process.stop(
                    timeout=self._settings.grace_seconds + 10,
                    is_idle=lambda: asyncio.to_thread(_is_engine_idle, self._settings),
                )
            await self._ranks.stop()
            await self._client.close()
            shutil.rmtree(folder, ignore_errors=True)
            remove_stale_shm()

    def _check(self) -> None:
        settings = self._settings
        if not (settings.model_dir / "config.json").is_file():
            raise StartupError(
                f"UNIAUDIO_MODEL_DIR={settings.model_dir} holds no config.json; give the folder of a checkpoint, "
                "or make a random one: python -m uniaudio.random_model DIR"
            )
        require_free_port(settings.host, settings.grpc_port, "UNIAUDIO_LLM_GRPC_PORT")
        require_free_port(settings.host, settings.http_port, "UNIAUDIO_LLM_HTTP_PORT")
        require_free_port(settings.host, settings.metrics_port, "UNIAUDIO_LLM_METRICS_PORT")
        removed = remove_stale_shm()
        if removed:
            log.info("removed shared memory of an earlier run", num_files=removed)

    async def _keep_running(self, command: TritonCommand) -> None:
        while not self._stopping.is_set():
            process = self.process = await TritonProcess.start(
                command, shows_info=self._settings.log_level == "debug"
            )
            cause = await self._start_and_watch(process)
            if self._stopping.is_set():
                return
            self.ready.clear()
            log.error("triton is restarted", cause=cause, stub_pid=process.stub_pid)
            await process.kill()
            remove_stale_shm()
            await self._back_off(cause)

    async def _start_and_watch(self, process: TritonProcess) -> str:
        """Why the process cannot go on; "" when a stop was asked for."""
        started_at = time.monotonic()
        try:
            await self._until_ready(process, started_at)
        except StartupError as error:
            if self._budget.is_untouched:  # the first start: nothing will be better the next time
                raise
            return error.message
        if self._stopping.is_set():
            return ""
        self.ready.set()
        log.info("ready", address=_dial(self._settings), seconds=round(time.monotonic() - started_at, 2))
        return await self._watch(process)

    async def _until_ready(self, process: TritonProcess, started_at: float) -> None:
        """Returns once a real generation went through; StartupError when that cannot happen any more."""
        while not self._stopping.is_set():
            await self._ranks.tend()
            if process.exit_code is not None:
                raise StartupError(
                    f"tritonserver ended with code {process.exit_code} while starting: "
                    f"{_cause(process.last_lines)}"
                )
            if time.monotonic() - started_at > self._settings.start_seconds:
                raise StartupError(
                    f"Triton was not ready within {self._settings.start_seconds:g} s; a large model needs more: "
                    "raise UNIAUDIO_LLM_START_SECONDS"
                )
            # An early attempt would leave the channel in back-off; the port answers first.
            if await _accepts(self._settings) and await self._client.ready(
                timeout=self._settings.probe_timeout_seconds
            ):
                await self._warm_up()
                process.find_stub()
                return
            await asyncio.sleep(_WATCH_SECONDS)

    async def _warm_up(self) -> None:
        """A generation through every part of the model; StartupError where that fails."""
        options = llm_pb2.GenerateOptions(
            request_id="warm-up", speak=llm_pb2.SpeakTask(text="Hi.", min_patches=1, max_patches=2)
        )
        try:
            async for _ in self._client.generate(options, timeout=_WARM_UP_SECONDS):
                pass
        except UniaudioError as error:
            raise StartupError(f"the model could not answer a first request: {error.message}") from error

    async def _watch(self, process: TritonProcess) -> str:
        """Returns what went wrong, or "" when a stop was asked for."""
        misses = 0
        whole_at = probed_at = time.monotonic()
        while not self._stopping.is_set():
            await self._ranks.tend()
            if process.exit_code is not None:
                return f"tritonserver ended with code {process.exit_code}"
            if process.fatal_signal is not None:
                return f"tritonserver was hit by signal {process.fatal_signal}"
            if not process.is_stub_alive():
                return "the model process died"
            if time.monotonic() - probed_at >= self._settings.probe_interval_seconds:
                error = await self._probe()
                probed_at = time.monotonic()
                is_miss = error is not None and not isinstance(error, RankLostError)
                misses = misses + 1 if is_miss else 0
                if misses >= _MISSES_BEFORE_RESTART:
                    return f"the model process did not answer {misses} probes"
                whole_at = probed_at if error is None else whole_at
                if probed_at - whole_at > self._settings.start_seconds:
                    await self._ranks.stop()
                    return f"the ranks did not come together again: {error}"
            await asyncio.sleep(_WATCH_SECONDS)
        return ""

    async def _probe(self) -> UnavailableError | None:
        """What the model process complains of, if anything; a rank that hangs is ended for it."""
        asked_at = time.monotonic()
        try:
            await self._client.check_ready(timeout=self._settings.probe_timeout_seconds)
        except UnavailableError as error:
            log.warning("a probe failed", cause=error.message)
            if isinstance(error, RankLostError):
                self._ranks.end_stuck(error, asked_at)
            return error
        return None

    async def _back_off(self, cause: str) -> None:
        wait = self._budget.take(cause)
        try:
            async with asyncio.timeout(wait):
                await self._stopping.wait()
        except TimeoutError:
            return


def _dial(settings: LlmSettings) -> str:
    """The address to reach our own server at."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "") else settings.host
    return f"{host}:{settings.grpc_port}"


async def _accepts(settings: LlmSettings) -> bool:
    """Whether the gRPC port takes connections."""
    host, _, port = _dial(settings).rpartition(":")
    try:
        async with asyncio.timeout(1.0):
            _, writer = await asyncio.open_connection(host, int(port))
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True


def _is_engine_idle(settings: LlmSettings) -> bool:
    """Whether no generation is queued or running; Triton's metrics outlive its other endpoints."""
    host = _dial(settings).rpartition(":")[0]
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.metrics_port}/metrics", timeout=2) as answer:
            text = answer.read().decode()
    except OSError:
        return False
    counts = [float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(_BUSY_METRICS)]
    return len(counts) == len(_BUSY_METRICS) and not any(counts)


def _cause(lines: list[str]) -> str:
    """The line that names our own error, else the last ones."""
    for line in reversed(lines):
        if "Error:" in line:
            return line[line.index("Error:") - 20 if "Error:" in line[20:] else 0 :].strip()
    return " / ".join(lines[-3:]) or "it wrote nothing"
