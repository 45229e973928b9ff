"""What holds for TokenizerService on every backend."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pytest

from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError, UniaudioError
from uniaudio.runtime.status import error_from_rpc
from uniaudio.runtime.tokenizer_client import Floats, TokenizerClient
from uniaudio.v1 import tokenizer_pb2 as pb
from uniaudio.v1 import tokenizer_pb2_grpc


def noise(num_samples: int, seed: int = 0) -> Floats:
    """Quiet noise."""
    return (np.random.default_rng(seed).standard_normal(num_samples) * 0.1).astype(np.float32)


def pieces(values: Floats, size: int) -> Iterator[Floats]:
    """`values` in runs of `size`."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


async def source(values: Floats, size: int) -> AsyncIterator[Floats]:
    """The same, as it would arrive."""
    for piece in pieces(values, size):
        yield piece


async def check_streams(client: TokenizerClient) -> None:
    """However it is cut, a stream gives what the whole gives."""
    waveform = noise(40_077)
    latents = await client.encode(waveform)
    sampled = await client.encode(waveform, posterior="sample", seed=3)
    decoded = await client.decode(latents)
    assert np.abs(sampled - latents).max() > 0.1
    for size in (1_777, 16_000):
        streamed = [piece async for piece in client.stream_encode(source(waveform, size))]
        np.testing.assert_allclose(np.concatenate(streamed), latents, atol=2e-5)
        streamed = [
            piece async for piece in client.stream_encode(source(waveform, size), posterior="sample", seed=3)
        ]
        np.testing.assert_allclose(np.concatenate(streamed), sampled, atol=2e-5)
    streamed = [piece async for piece in client.stream_decode(source(latents, 5))]
    assert [len(piece) for piece in streamed[:3]] == [1120, 1600, 1600]
    np.testing.assert_allclose(np.concatenate(streamed), decoded, atol=2e-5)


async def check_bad_input(client: TokenizerClient) -> None:
    """Each refusal has its code, reason and message, and the next request is served."""
    nan = np.full(8, np.nan, np.float32)
    latent_dim = (await client.get_tokenizer()).latent_dim
    cases = [
        (pb.EncodeRequest(), "Encode", InvalidAudioError, "waveform is empty"),
        (pb.EncodeRequest(waveform=b"123"), "Encode", InvalidAudioError, "3 bytes"),
        (pb.EncodeRequest(waveform=nan.tobytes()), "Encode", InvalidAudioError, "sample 0 is nan"),
        (pb.EncodeRequest(waveform=bytes(38_400_004)), "Encode", LimitExceededError, "9600000 are allowed"),
        (pb.DecodeRequest(), "Decode", InvalidInputError, "latents are empty"),
        (pb.DecodeRequest(latents=bytes(4 * latent_dim + 4)), "Decode", InvalidInputError, "whole number of rows"),
    ]  # fmt: skip
    async with grpc.aio.insecure_channel(
        client.address, options=[("grpc.max_send_message_length", 64 << 20)]
    ) as channel:
        stub = tokenizer_pb2_grpc.TokenizerServiceStub(channel)
        for request, method, error_class, message in cases:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await getattr(stub, method)(request, timeout=30)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
            error = error_from_rpc(caught.value)
            assert type(error) in (error_class, InvalidInputError)
            assert message in error.message
            assert {"value", "limit", "remedy"} <= set(error.metadata), (message, error.metadata)
            assert (await client.encode(noise(320))).shape == (1, latent_dim)
    await check_bad_streams(client, latent_dim)


async def check_bad_streams(client: TokenizerClient, latent_dim: int) -> None:
    """A stream that goes wrong half-way is refused there, and another one runs."""
    good = np.zeros((5, latent_dim), np.float32)
    for bad, message in (
        (np.zeros((5, latent_dim + 1), np.float32), "no whole number of rows"),
        (np.full((1, latent_dim), np.inf, np.float32), "row 0, column 0 is inf"),
        (np.zeros((1_501, latent_dim), np.float32), "1501 rows and 1500 are allowed"),
    ):

        async def requests(bad: Floats = bad) -> AsyncIterator[Floats]:
            yield good
            yield bad
            yield good

        with pytest.raises(UniaudioError, match=message) as caught:
            _ = [piece async for piece in client.stream_decode(requests())]
        assert isinstance(caught.value, InvalidInputError)
        assert {"value", "limit", "remedy"} <= set(caught.value.metadata)
        pieces_of_good = [piece async for piece in client.stream_decode(source(good, 5))]
        assert sum(map(len, pieces_of_good)) == 1600
