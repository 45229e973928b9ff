"""One database, two kinds: SQLite in a file for one machine, PostgreSQL for a cluster.

Every change is one short transaction that locks its jobs first, in order of their ids. On SQLite the whole
database is locked; on PostgreSQL those rows are. So no transaction sees another's half, and none waits for
another in a circle.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, Float, create_engine, event, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError, SQLAlchemyError, TimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from uniaudio.errors import InvalidInputError, UnavailableError

_LOCK_SECONDS = 10.0
_POOL_SECONDS = 10.0
_STATEMENT_SECONDS = 30.0
Clock = Callable[[], float]


class now_seconds(FunctionElement[float]):  # noqa: N801 - named as the SQL function that it is
    """Seconds since 1970 by the database's clock."""

    type = Float()
    inherit_cache = True


@compiles(now_seconds, "postgresql")
def _now_postgresql(element: now_seconds, compiler: Any, **options: Any) -> str:
    return "extract(epoch from clock_timestamp())::double precision"


@compiles(now_seconds, "sqlite")
def _now_sqlite(element: now_seconds, compiler: Any, **options: Any) -> str:
    return "uniaudio_now()"


class Database:
    """Connections to one database. Thread-safe; every process opens its own.

    `clock` replaces SQLite's clock, for tests of clocks that jump; a server's clock is its own.
    """

    def __init__(self, url: str, *, pool_size: int = 4, clock: Clock = time.time) -> None:
        self.engine = _open(url, pool_size, clock)
        self._reader = self.engine.execution_options(uniaudio_reads=True)
        self.is_embedded = self.engine.dialect.name == "sqlite"
        self._num_open = 0
        self._changed = threading.Condition()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A transaction: all of it happens, or nothing where the block raises.

        Raises UnavailableError where the database is away or too busy; the same call may be repeated.
        """
        with self._named(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that changes nothing, and on SQLite waits for nobody who writes."""
        with self._named(), self._reader.begin() as connection:
            yield connection

    def check_ready(self) -> None:
        """Returns when the database answers; raises UnavailableError otherwise."""
        with self.reading() as connection:
            connection.execute(select(now_seconds()))

    @contextmanager
    def _named(self) -> Iterator[None]:
        self._count(+1)
        try:
            yield
        except (OperationalError, TimeoutError) as error:
            raise _away(self.engine, error) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise _away(self.engine, error) from error
            raise
        finally:
            self._count(-1)

    def _count(self, step: int) -> None:
        with self._changed:
            self._num_open += step
            self._changed.notify_all()

    def close(self) -> None:
        """Closes all connections, once the transactions of other threads have ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._num_open == 0, timeout=_STATEMENT_SECONDS)
        self.engine.dispose()


def _open(url: str, pool_size: int, clock: Clock) -> Engine:
    try:
        parsed = make_url(url)
        driver = parsed.get_backend_name()
    except (ArgumentError, SQLAlchemyError) as error:
        raise _unknown_url() from error
    if driver == "sqlite":
        engine = create_engine(
            parsed, hide_parameters=True, connect_args={"timeout": _LOCK_SECONDS, "check_same_thread": False}
        )
        _prepare_sqlite(engine, clock)
        return engine
    if driver == "postgresql":
        return create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            hide_parameters=True,  # errors must not tell what was said
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_POOL_SECONDS,
            pool_pre_ping=True,
            connect_args={
                "connect_timeout": int(_POOL_SECONDS),
                "options": f"-c lock_timeout={_LOCK_SECONDS:.0f}s -c statement_timeout={_STATEMENT_SECONDS:.0f}s",
            },
        )
    raise _unknown_url()


def _prepare_sqlite(engine: Engine, clock: Clock) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _: Any) -> None:
        # The driver would begin transactions late and by itself; ours begin by locking.
        connection.isolation_level = None
        connection.create_function("uniaudio_now", 0, clock)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get("uniaudio_reads")
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _unknown_url() -> InvalidInputError:
    # Never quotes the address: it may hold a password.
    known = "sqlite:///path or postgresql://user@host/name"
    return InvalidInputError(
        f"the address of the jobs' database is none; give {known}",
        value="another address",
        limit=known,
        remedy="give one of them",
    )


def _away(engine: Engine, error: SQLAlchemyError) -> UnavailableError:
    where = engine.url.render_as_string(hide_password=True)
    cause = type(getattr(error, "orig", None) or error).__name__
    return UnavailableError(
        f"the jobs' database {where} does not answer ({cause}); see that it runs, or try again in some seconds",
        reason="DATABASE_AWAY",
        value=cause,
        limit="a database that answers",
        remedy="see that it runs, or try again in some seconds",
    )
