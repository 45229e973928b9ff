"""Starts Ray with the deployment on it, waits for a signal, and stops every process of it.

Import it only with `ray_environment` in the environment: Ray reads its switches when it is imported.
"""

from __future__ import annotations

import logging
import signal
from pathlib import Path
from types import FrameType

import ray
from ray import serve
from ray.exceptions import RayError
from ray.serve.config import HTTPOptions, gRPCOptions
from ray.serve.exceptions import RayServeException

from services.tokenizer.deployment import make_application
from services.tokenizer.ray_environment import LOOPBACK, end_processes_of
from services.tokenizer.ray_logs import LogForwarder
from services.tokenizer.servicer import SERVICE
from services.tokenizer.settings import SERVICE_NAME, Settings
from uniaudio.errors import StartupError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.ports import free_port

log = get_logger(__name__)

_MIB = 1 << 20
_START_ATTEMPTS = 3
SERVICER_FUNCTIONS = [
    "uniaudio.v1.tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server",
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
]


def serve_on_ray(settings: Settings, folder: Path) -> None:
    """Serves until SIGTERM or SIGINT, then stops every process of Ray."""
    with LogForwarder(folder):
        try:
            _start(settings, folder)
            log.info("listening", address=f"{settings.host}:{settings.port}", services=[SERVICE])
            _wait_for_signal()
            log.info("stopping", grace_seconds=settings.grace_seconds)
        except _Stopped:
            log.info("stopped while starting")
        finally:
            _stop(folder)
    log.info("stopped")


class _Stopped(Exception):  # noqa: N818 - no error, but the way out of a start
    """A signal came while Ray was starting."""


def _stop_at_signal(number: int, _frame: FrameType | None) -> None:
    raise _Stopped(signal.Signals(number).name)


def _wait_for_signal() -> None:
    try:
        while True:
            signal.pause()
    except _Stopped:
        return


def _start(settings: Settings, folder: Path) -> None:
    try:
        _start_ray(folder)
        # Ray's own handlers end the process at once; these let it stop in order.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop_at_signal)
        _start_serve(settings)
        serve.run(make_application(settings), name=SERVICE_NAME, route_prefix=f"/{SERVICE_NAME}")
    except (RayError, RuntimeError, TimeoutError) as error:
        raise _not_started(error) from error


def _not_started(error: Exception) -> StartupError:
    return StartupError(
        f"Ray Serve did not start: {_last_line(error)}; the log lines above say more, "
        "and --backend local runs the service without Ray"
    )


def _last_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[-1]


def _stop(folder: Path) -> None:
    """Lets calls finish, then ends every process of Ray."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    if ray.is_initialized():
        try:
            # Deleting waits for the calls in progress; shutting down alone would cut them off.
            serve.delete(SERVICE_NAME)
        except (RayError, RayServeException, TimeoutError) as error:
            log.warning("nothing to wait for, or not to its end", cause=_last_line(error))
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()
    end_processes_of(folder)


def _start_ray(folder: Path) -> None:
    """Starts Ray's processes; on a machine that is busy elsewhere Ray may give up waiting for itself."""
    for attempt in range(1, _START_ATTEMPTS + 1):
        try:
            _init_ray(folder)
            return
        except Exception as error:  # Ray raises just that
            ray.shutdown()
            end_processes_of(folder)
            if attempt == _START_ATTEMPTS:
                raise _not_started(error) from error
            log.warning("Ray did not start; trying again", attempt=attempt, cause=_last_line(error))


def _init_ray(folder: Path) -> None:
    ray.init(
        include_dashboard=False,
        num_cpus=1,
        object_store_memory=80 * _MIB,  # the least that Ray takes; no audio goes through it
        log_to_driver=False,  # LogForwarder does it
        logging_level=logging.WARNING,
        namespace="uniaudio",
        runtime_env={"worker_process_setup_hook": "services.tokenizer.ray_environment.listen_on_loopback"},
        _temp_dir=str(folder),
    )


def _start_serve(settings: Settings) -> None:
    for name in ("ray", "ray.serve"):  # one form for all lines of this process
        library = logging.getLogger(name)
        library.handlers.clear()
        library.propagate = True
        library.setLevel(logging.WARNING)
    serve.start(
        http_options=HTTPOptions(host=LOOPBACK, port=free_port()),
        grpc_options=gRPCOptions(port=settings.port, grpc_servicer_functions=SERVICER_FUNCTIONS),
    )
