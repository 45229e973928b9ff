"""The LLM service: `python -m services.llm`. `python -m services.llm check` asks a running one (exit 0 or 1)."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence

from services.llm.settings import LlmSettings, RankSettings
from services.llm.supervisor import Supervisor
from uniaudio.errors import UniaudioError
from uniaudio.runtime.guard.addresses import require_loopback
from uniaudio.runtime.llm_client import LlmClient
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.settings import read_settings, settings_parser
from uniaudio.runtime.tls import (
    ClientTlsSettings,
    ServerTlsSettings,
    check_server_files,
    require_own_trust,
)

log = get_logger(__name__)


async def _serve(settings: LlmSettings, server_tls: ServerTlsSettings, client_tls: ClientTlsSettings) -> None:
    require_loopback(settings.host, allow_anonymous=settings.allow_anonymous or server_tls.is_mutual)
    if server_tls.is_on:
        check_server_files(server_tls)
        require_own_trust(client_tls)
    supervisor = Supervisor(settings, server_tls, client_tls)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    await supervisor.run()


async def _check(settings: LlmSettings, client_tls: ClientTlsSettings) -> None:
    async with LlmClient(f"127.0.0.1:{settings.grpc_port}", tls=client_tls) as client:
        await client.check_ready(timeout=settings.probe_timeout_seconds)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 after a clean stop, 1 where the service cannot start, stay or answer."""
    command = _parse(arguments)
    setup_logging("llm")
    try:
        settings = read_settings(LlmSettings)
        setup_logging("llm", settings.log_level)
        server_tls, client_tls = read_settings(ServerTlsSettings), read_settings(ClientTlsSettings)
        work = (
            _check(settings, client_tls) if command == "check" else _serve(settings, server_tls, client_tls)
        )
        asyncio.run(work)
    except UniaudioError as error:
        log.error(error.message, reason=error.reason)
        return 1
    return 0


def _parse(arguments: Sequence[str] | None) -> str:
    parser = settings_parser(
        "python -m services.llm",
        "The LLM service: the engine inside Triton.",
        LlmSettings,
        RankSettings,
        ServerTlsSettings,
        ClientTlsSettings,
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "check"),
        default="serve",
        help="serve (default), or check: ask a running one, exit 0 or 1",
    )
    command: str = parser.parse_args(arguments).command
    return command


if __name__ == "__main__":
    sys.exit(main())
