"""Items to workers over a broker, by Celery. A message carries ids and the trace that it belongs to.

Celery only carries: no results, no retries, no acknowledgement after the work. What a message says is
looked up in the database, so that one which is lost, late or doubled does no harm.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from celery import Celery
from kombu.exceptions import OperationalError
from opentelemetry import propagate

from services.orchestrator.jobs.batches import Batcher
from services.orchestrator.jobs.transitions import ItemKey
from uniaudio.errors import UnavailableError

TASK = "uniaudio.jobs.run"
_QUEUE = "uniaudio-jobs"
_AT_ONCE = 16
_CONNECT_SECONDS = 4
_SECONDS = 10
_SPARED_SECONDS = 2.0
"""A broker that failed is not asked again for so long: whoever sends is told at once, and the sweeper tries later."""

Context = Mapping[str, str]
"""The trace that a message belongs to, as OpenTelemetry carries it."""


def make_app(url: str) -> Celery:
    """The application behind a broker's address; connects to nothing yet."""
    app = Celery("uniaudio", broker=url, set_as_current=False)  # type: ignore[no-untyped-call]
    app.conf.update(
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,  # a worker waits for its broker; nothing of it is in memory
        broker_connection_timeout=_CONNECT_SECONDS,
        broker_transport_options={
            "socket_connect_timeout": _CONNECT_SECONDS,
            "socket_timeout": _SECONDS,
            "max_retries": 1,
        }
        if url.startswith("redis")
        else {"confirm_publish": True},
        task_default_queue=_QUEUE,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        worker_hijack_root_logger=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
    )
    return app


class CeleryDispatcher:
    """Sends items in messages of a few; what is sent at the same time, in the same trace or none, goes together."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._spared_until = 0.0
        self._publish: Batcher[tuple[Sequence[ItemKey], Context], None] = Batcher(self._publish_all)

    async def send(self, keys: Sequence[ItemKey]) -> None:
        """See Dispatcher."""
        if time.monotonic() < self._spared_until:
            raise _away("it failed a moment ago")
        context: dict[str, str] = {}
        propagate.inject(context)
        await self._publish((keys, context))

    async def close(self) -> None:
        """See Dispatcher."""
        await asyncio.to_thread(self._app.close)

    def _publish_all(self, wanted: Sequence[tuple[Sequence[ItemKey], Context]]) -> list[None]:
        together: dict[tuple[tuple[str, str], ...], list[ItemKey]] = {}
        for keys, context in wanted:
            together.setdefault(tuple(sorted(context.items())), []).extend(keys)
        for trace, of_trace in together.items():
            self._publish_keys(of_trace, dict(trace))
        return [None] * len(wanted)

    def _publish_keys(self, keys: list[ItemKey], context: Context) -> None:
        try:
            for start in range(0, len(keys), _AT_ONCE):
                arguments = [keys[start : start + _AT_ONCE], context]
                self._app.send_task(  # type: ignore[no-untyped-call]
                    TASK, args=arguments, retry=False, ignore_result=True
                )
        except (OperationalError, OSError) as error:
            self._spared_until = time.monotonic() + _SPARED_SECONDS
            raise _away(type(error).__name__) from error


def _away(cause: str) -> UnavailableError:
    return UnavailableError(
        f"the broker does not answer ({cause}); see that it runs",
        reason="BROKER_AWAY",
        value=cause,
        limit="a broker that answers",
        remedy="see that it runs",
    )


def serve(app: Celery, run: Callable[[Sequence[ItemKey], Context], None], leave: Callable[[], None]) -> None:
    """Takes messages until SIGTERM: `run` returns once the items are taken up, `leave` begins the end."""
    from celery import signals

    @app.task(name=TASK)  # type: ignore[untyped-decorator, no-untyped-call]
    def task(keys: list[list[object]], context: dict[str, str]) -> None:
        run([(str(job_id), int(str(index))) for job_id, index in keys], context)

    def leaving(**_: object) -> None:
        leave()

    def keep_logging(**_: object) -> None:
        """Celery would write lines of its own form, and leave out ours below warnings."""
        logging.getLogger("celery").setLevel(logging.WARNING)

    signals.worker_shutting_down.connect(leaving, weak=False)  # type: ignore[no-untyped-call]
    signals.setup_logging.connect(keep_logging, weak=False)  # type: ignore[no-untyped-call]
    worker = app.Worker(
        pool="threads",
        concurrency=2,
        loglevel="WARNING",
        without_gossip=True,
        without_heartbeat=True,
        without_mingle=True,
        quiet=True,
    )
    worker.start()
