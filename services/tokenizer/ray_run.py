"""Starts Ray with the deployment on it, waits for a signal, and stops every process of it.

Import it only with `ray_environment` in the environment: Ray reads its switches when it is imported.
"""

from __future__ import annotations

import logging
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.serve.config import HTTPOptions, gRPCOptions

from services.tokenizer.deployment import make_application
from services.tokenizer.ray_environment import LOOPBACK
from services.tokenizer.servicer import SERVICE
from services.tokenizer.settings import PORT_VARIABLE, SERVICE_NAME, Settings
from uniaudio.errors import StartupError
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.ports import free_port, require_free_port

log = get_logger(__name__)

_MIB = 1 << 20
_SERVICER_FUNCTIONS = [
    "uniaudio.v1.tokenizer_pb2_grpc.add_TokenizerServiceServicer_to_server",
    "grpc_health.v1.health_pb2_grpc.add_HealthServicer_to_server",
]


def serve_on_ray(settings: Settings, folder: Path) -> None:
    """Serves until SIGTERM or SIGINT, then stops every process of Ray."""
    if settings.port:
        require_free_port(settings.host, settings.port, PORT_VARIABLE)
    else:
        settings = replace(settings, port=free_port(settings.host))
    stopping = threading.Event()
    try:
        _start_ray(settings, folder)
        # After ray.init, which installs a handler of its own.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        _start_serve(settings)
        serve.run(make_application(settings), name=SERVICE_NAME, route_prefix=f"/{SERVICE_NAME}")
        log.info("listening", address=f"{settings.host}:{settings.port}", services=[SERVICE])
        stopping.wait()
        log.info("stopping", grace_seconds=settings.grace_seconds)
    finally:
        if ray.is_initialized():
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()
        log.info("stopped")


def _start_ray(settings: Settings, folder: Path) -> None:
    runtime_env: dict[str, Any] = {}
    if settings.host == LOOPBACK:
        runtime_env["worker_process_setup_hook"] = "services.tokenizer.ray_environment.listen_on_loopback"
    ray.init(
        include_dashboard=False,
        num_cpus=1,
        object_store_memory=80 * _MIB,  # the least that Ray takes; no audio goes through it
        log_to_driver=True,
        logging_level=logging.WARNING,
        namespace="uniaudio",
        runtime_env=runtime_env,
        _temp_dir=str(folder),
    )


def _start_serve(settings: Settings) -> None:
    try:
        serve.start(
            http_options=HTTPOptions(host=settings.host, port=free_port()),
            grpc_options=gRPCOptions(port=settings.port, grpc_servicer_functions=_SERVICER_FUNCTIONS),
        )
    except RuntimeError as error:
        raise StartupError(f"Ray Serve did not start: {error}") from error
