"""Seconds of audio that wait in a service's queues: the number that autoscaling and alerts go by.

Prometheus knows it as `uniaudio_queued_audio_seconds`, with the queue's name as a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.telemetry import get_meter

log = get_logger(__name__)

QueuedSeconds = Callable[[], float]
"""Seconds of audio that wait now. Called from another thread at each export; may raise an error of ours."""


def tell_queued_audio(queues: Mapping[str, QueuedSeconds], meter: Meter | None = None) -> None:
    """Has telemetry ask each queue at every export; to be called once in a process.

    A queue that cannot say is logged and left out of that export: no number is better than an old one.
    """

    def observe(_: CallbackOptions) -> Iterator[Observation]:
        for name, ask in queues.items():
            try:
                yield Observation(ask(), {"queue": name})
            except UniaudioError as error:
                log.warning(
                    "a queue's length is unknown", queue=name, reason=error.reason, error=error.message
                )

    (meter or get_meter()).create_observable_gauge(
        "uniaudio.queued_audio", [observe], "s", "Seconds of audio that wait to be read or made."
    )
