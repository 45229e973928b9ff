"""The tokenizer behind the front door: what it answers, who may ask, and that leaving ends the work."""

from __future__ import annotations

from pathlib import Path

import grpc
import numpy as np
import pytest

from tests.fakes_server import NUM_SAMPLES, FakeServices, latents_of, serve, tone
from tests.orchestrator_house import everything, refused
from tests.tokenizer_door import door_before
from uniaudio.client import AsyncSpeechClient
from uniaudio.errors import InvalidInputError, PermissionDeniedError, QuotaExceededError, UnauthenticatedError
from uniaudio.runtime.aio_calls import keep_status
from uniaudio.runtime.guard.guard import Guard, TokenKinds
from uniaudio.runtime.guard.meter import AUDIO_UNIT
from uniaudio.runtime.guard.quota import Quota, Quotas
from uniaudio.runtime.guard.quota_sqlite import SqliteCounters
from uniaudio.runtime.guard.roles import Role
from uniaudio.runtime.guard.token_file import TokenFile, create_token
from uniaudio.v1 import tokenizer_pb2


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


async def test_a_malformed_message_of_a_stream_is_told_as_one() -> None:
    with serve(FakeServices()) as fake:
        async with door_before(fake.address) as door, grpc.aio.insecure_channel(door) as channel:
            first = tokenizer_pb2.StreamDecodeRequest(latents=bytes(16)).SerializeToString()
            call = channel.stream_stream("/uniaudio.v1.TokenizerService/StreamDecode")(
                iter([first, b"\xff"]), timeout=20
            )
            keep_status(call)
            await refused(everything(call), grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_MESSAGE")


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
