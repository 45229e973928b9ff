"""The tokenizer behind the front door: what it answers, who may ask, and that leaving ends the work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from services.orchestrator.admission import Admission
from services.orchestrator.tokenizer_servicer import TokenizerDoor, tokenizer_service
from tests.fakes_server import NUM_SAMPLES, FakeServices, latents_of, serve, tone
from uniaudio.client import AsyncSpeechClient
from uniaudio.errors import InvalidInputError, PermissionDeniedError, QuotaExceededError, UnauthenticatedError
from uniaudio.runtime.guard.guard import Guard, TokenKinds
from uniaudio.runtime.guard.meter import AUDIO_UNIT
from uniaudio.runtime.guard.quota import Quota, Quotas
from uniaudio.runtime.guard.quota_sqlite import SqliteCounters
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.guard.token_file import TokenFile, create_token
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


async def test_it_answers_as_the_tokenizer_does() -> None:
    with serve(FakeServices()) as fake:
        async with door_before(fake.address) as door, AsyncSpeechClient(door, timeout_seconds=20) as client:
            assert (await client.tokenizer_info()).latent_dim == 4
            latents = await client.encode(tone(), sample_rate=16000)
            np.testing.assert_array_equal(latents, latents_of(tone()))
            assert len(await client.decode(latents)) == NUM_SAMPLES
            long = np.zeros(30_400 * 320, np.float32)  # more than one message may hold: a stream
            assert len(await client.encode(long, sample_rate=16000)) == 30_400


async def test_refusals_come_through_as_they_are() -> None:
    with serve(FakeServices()) as fake:
        fake.failures["Encode"] = [
            InvalidInputError("samples are not finite", reason="NOT_FINITE", limit="finite")
        ]
        async with door_before(fake.address) as door, AsyncSpeechClient(door, timeout_seconds=20) as client:
            with pytest.raises(InvalidInputError, match="not finite") as caught:
                await client.encode(tone(), sample_rate=16000)
    assert (caught.value.reason, caught.value.metadata["limit"]) == ("NOT_FINITE", "finite")


async def test_it_is_guarded_as_everything_else_is(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.json"
    ann, joe = (
        create_token(tokens, name, (role,))[0] for name, role in (("ann", Role.SPEECH), ("joe", Role.JOBS))
    )
    quota = Quota(name="audio", unit=AUDIO_UNIT, limit=300, window_seconds=3600)
    guard = Guard(
        authenticator=TokenKinds(TokenFile(tokens), None),
        quotas=Quotas(SqliteCounters(tmp_path / "quotas.db"), [quota]),
    )
    with serve(FakeServices()) as fake:
        async with door_before(fake.address, guard) as door:
            async with AsyncSpeechClient(door, token="") as nobody:
                with pytest.raises(UnauthenticatedError):
                    await nobody.encode(tone(), sample_rate=16000)
            async with AsyncSpeechClient(door, token=joe) as other:
                with pytest.raises(PermissionDeniedError):
                    await other.encode(tone(), sample_rate=16000)
            async with AsyncSpeechClient(door, token=ann) as known:
                await known.encode(tone(), sample_rate=16000)  # 0.2 of 0.3 s
                with pytest.raises(QuotaExceededError):
                    await known.encode(tone(), sample_rate=16000)
        assert len([request for request in fake.requests if hasattr(request, "waveform")]) == 1
