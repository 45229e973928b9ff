"""The front door's TokenizerService, before a tokenizer that runs elsewhere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.orchestrator.admission import Admission
from services.orchestrator.tokenizer_servicer import TokenizerDoor, tokenizer_service
from uniaudio.runtime.guard.guard import Guard
from uniaudio.runtime.server import Server, ServerConfig
from uniaudio.runtime.tokenizer_client import TokenizerClient


@asynccontextmanager
async def door_before(address: str, guard: Guard | None = None) -> AsyncIterator[str]:
    """The door's address, before the tokenizer at `address`."""
    async with TokenizerClient(address) as tokenizer:
        admission = Admission(max_running=2, max_waiting=1, max_wait_seconds=5)
        door = TokenizerDoor(tokenizer, admission, max_request_seconds=20)
        server = Server(
            [tokenizer_service(door)],
            ServerConfig(port=0, grace_seconds=1),
            interceptors=[guard] if guard else [],
            on_end=guard.end if guard else None,
        )
        port = await server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            await server.stop()
