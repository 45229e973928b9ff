"""A small cluster of jobs, every part a real process: front door, workers, PostgreSQL, Redis, MinIO."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import psycopg
from minio import MinioAdmin
from minio.credentials import StaticProvider

from services.orchestrator.jobs.database import Database
from services.orchestrator.jobs.migrate import migrate
from tests.faults import witness
from tests.faults.door import CALLER
from tests.faults.load import Order
from tests.faults.pace import Pace
from tests.faults.undisturbed import undisturbed
from tests.minio_server import ACCESS_KEY, SECRET_KEY, MinioServer
from tests.postgres_server import PostgresServer
from tests.rabbit_server import rabbit_server
from tests.redis_server import redis_server
from uniaudio.client import AsyncSpeechClient
from uniaudio.runtime.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "jobs"
_BROKERS: dict[str, tuple[Callable[[int], AbstractContextManager[str]], str]] = {
    "redis": (redis_server, "redis://127.0.0.1:{port}/0"),
    "rabbitmq": (rabbit_server, "amqp://guest:guest@127.0.0.1:{port}//"),
}
_STOP_SECONDS = 60.0
_RESTART_SECONDS = 0.1

# The clock that all times of jobs are read from; a name in `public` hides the one of the system.
_CLOCK = """
CREATE TABLE public.jump (seconds double precision);
INSERT INTO public.jump VALUES (0);
CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
  'SELECT pg_catalog.clock_timestamp() + make_interval(secs => (SELECT seconds FROM public.jump))';
ALTER DATABASE postgres SET search_path = public, pg_catalog;
"""


class Program:
    """A process of ours: killed, frozen, started again. One that ends by itself is started again, as anywhere."""

    def __init__(self, module: str, environment: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", module]
        self._environment = {**os.environ, **environment, "OMP_NUM_THREADS": "1"}
        self._log = log
        self._is_wanted = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None

    def start(self) -> None:
        """Returns at once; it comes up by itself."""
        self._is_wanted.set()
        self._spawn()
        self._keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)
        self._keeper.start()

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Does nothing meanwhile, and knows nothing of it."""
        process = self._process
        assert process is not None, "it runs"
        process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """As an operator does; raises AssertionError where it did not end well."""
        code = self._end(signal.SIGTERM)
        assert code in (None, 0, -signal.SIGTERM), f"{self._command} ended with {code}:\n{self.tail()}"

    def tail(self, num_characters: int = 3000) -> str:
        """The end of what it said."""
        return self._log.read_text(errors="replace")[-num_characters:]

    def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environment, stdout=log, stderr=log
            )

    def _keep(self) -> None:
        while True:
            assert self._process is not None, "it was started"
            self._process.wait()
            time.sleep(_RESTART_SECONDS)
            if not self._is_wanted.is_set():
                return
            self._spawn()

    def _end(self, how: signal.Signals) -> int | None:
        """Its exit code; None where it did not run."""
        if self._keeper is None:
            return None
        self._is_wanted.clear()
        assert self._process is not None, "it was started"
        self._process.send_signal(how)
        self._keeper.join(_STOP_SECONDS)
        if self._keeper.is_alive():
            self._process.kill()
            self._keeper.join(_STOP_SECONDS)
        self._keeper = None
        return self._process.returncode


class House:
    """All parts, started by `running`."""

    def __init__(self, folder: Path, pace: Pace, *, broker: str = "redis") -> None:
        self.pace = pace
        self.folder = folder
        self.postgres = PostgresServer(free_port())
        self.minio = MinioServer(folder / "minio", free_port())
        self._serve_broker, address = _BROKERS[broker]
        self._broker_port = free_port()
        self.broker = address.format(port=self._broker_port)
        self._broker = ExitStack()
        self.address = f"127.0.0.1:{free_port()}"
        environment = self._environment()
        self.door = Program("tests.faults.door", environment, folder / "door.log")
        self.workers = [
            Program("tests.jobs_worker", environment, folder / f"worker-{number}.log")
            for number in range(pace.num_workers)
        ]

    def start_broker(self) -> None:
        """A broker that knows nothing of before."""
        self._broker.enter_context(self._serve_broker(self._broker_port))

    def kill_broker(self) -> None:
        """kill -9; its messages are gone."""
        self._broker.close()

    def database(self) -> psycopg.Connection:
        """A connection that sees everything and is no part of the program."""
        return psycopg.connect(self.postgres.url, autocommit=True)

    def set_clock(self, seconds_ahead: float) -> None:
        """Makes the database's clock show another time from now on."""
        with self.database() as connection:
            connection.execute("UPDATE public.jump SET seconds = %s", [seconds_ahead])

    def store_admin(self) -> MinioAdmin:
        """Who may change the store's quotas."""
        return MinioAdmin(
            endpoint=self.minio.endpoint,
            credentials=StaticProvider(ACCESS_KEY, SECRET_KEY),
            secure=False,
            region="us-east-1",
        )

    @contextmanager
    def running(self) -> Iterator[House]:
        """Starts everything; stops it in the end, our own processes in order and with exit code 0."""
        with ExitStack() as stack:
            stack.callback(self.postgres.stop)
            self.postgres.start()
            self._prepare_database()
            stack.callback(self.minio.kill)
            self.minio.start()
            self.minio.make_bucket(BUCKET)
            stack.callback(self._broker.close)
            self.start_broker()
            for program in (self.door, *self.workers):
                stack.callback(program.stop)
                program.start()
            yield self

    def _prepare_database(self) -> None:
        database = Database(self.postgres.url)
        migrate(database)
        database.close()
        with self.database() as connection:
            connection.execute(witness.SEES)
            connection.execute(_CLOCK)

    def _environment(self) -> dict[str, str]:
        return {
            **self.minio.environment,
            "DOOR_PORT": self.address.rpartition(":")[2],
            "UNIAUDIO_JOBS_DATABASE": self.postgres.url,
            "UNIAUDIO_JOBS_STORE": f"s3://{BUCKET}/here",
            "UNIAUDIO_JOBS_BROKER": self.broker,
            "UNIAUDIO_JOBS_LEASE_SECONDS": str(self.pace.lease_seconds),
            "UNIAUDIO_JOBS_SWEEP_SECONDS": str(self.pace.sweep_seconds),
            "UNIAUDIO_JOBS_MAX_RUNNING": "4",
            "SLOW_PATCH_SECONDS": str(self.pace.patch_seconds),
            "RESUMED_FILE": str(self.folder / "resumed"),
        }

    async def expected(self, client: AsyncSpeechClient, order: Order, index: int) -> str:
        """See Place."""
        return hashlib.sha256(await undisturbed(order, index)).hexdigest()

    def endings(self) -> list[tuple[str, int, str]]:
        """See Place."""
        with self.database() as connection:
            return witness.endings(connection)

    def check_artifacts(self) -> list[str]:
        """See Place."""
        return witness.misnamed_results(self.minio.client(), BUCKET)

    def check_accounts(self) -> list[str]:
        """See Place."""
        with self.database() as connection:
            return witness.still_counted(connection, CALLER)
