"""The tokenizer service in one process, over real gRPC, with the default model."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from services.tokenizer.local import make_server
from services.tokenizer.model import (
    DecodeStep,
    EncodeStep,
    FramePosteriors,
    Step,
    StepModel,
    load_model,
)
from services.tokenizer.settings import Settings
from tests.fake_tokenizer import FakeStepModel
from tests.tokenizer_calls import check_bad_input, check_streams, noise, pieces
from uniaudio.errors import InvalidInputError, QueueFullError, UnavailableError
from uniaudio.runtime.tokenizer_client import ClientConfig, TokenizerClient
from uniaudio.v1 import tokenizer_pb2 as pb
from uniaudio.v1 import tokenizer_pb2_grpc


@pytest.fixture(scope="module")
def model(random_checkpoint: Path) -> StepModel:
    return load_model(random_checkpoint, device="cpu", dtype="float32", num_threads=2)


@pytest.fixture
async def client(model: StepModel) -> AsyncIterator[TokenizerClient]:
    server = make_server(Settings(model_dir=Path(), port=0, grace_seconds=1), model)
    port = await server.start()
    async with TokenizerClient(f"127.0.0.1:{port}") as client:
        yield client
    await server.stop()


async def test_sizes_and_the_notice_of_random_weights(client: TokenizerClient) -> None:
    info = await client.get_tokenizer()
    assert (info.sample_rate, info.hop_length) == (16_000, 320)
    assert not info.model_trained
    assert "random" in info.model_notice


async def test_readiness_is_what_the_service_says_of_its_model() -> None:
    fake = FakeStepModel()
    server = make_server(Settings(model_dir=Path(), port=0, grace_seconds=1), fake)
    port = await server.start()
    async with TokenizerClient(f"127.0.0.1:{port}") as client:
        await client.check_ready()
    await server.stop()
    fake.fail_next = RuntimeError("device lost")
    broken = make_server(Settings(model_dir=Path(), port=0, grace_seconds=1), fake)
    port = await broken.start()
    async with TokenizerClient(f"127.0.0.1:{port}") as client:
        with pytest.raises(UnavailableError, match="says NOT_SERVING; try again"):
            await client.check_ready()
    await broken.stop()
    async with TokenizerClient(f"127.0.0.1:{port}") as client:
        with pytest.raises(UnavailableError, match="is not ready"):
            await client.check_ready()


async def test_there_and_back(client: TokenizerClient) -> None:
    info = await client.get_tokenizer()
    for num_samples in (1, 320, 16_001, 200_000):
        latents = await client.encode(noise(num_samples))
        num_frames = -(-num_samples // 320)
        assert latents.shape == (num_frames, info.latent_dim)
        waveform = await client.decode(latents)
        assert waveform.shape == (num_frames * 320,)
        assert np.isfinite(waveform).all()


async def test_latents_are_spelled_over_the_wire() -> None:
    server = make_server(Settings(model_dir=Path(), port=0, max_sessions=1, grace_seconds=1), FakeStepModel())
    port = await server.start()
    async with TokenizerClient(f"127.0.0.1:{port}") as client:
        assert (await client.get_tokenizer()).alphabet == " ab"
        heard = await client.spell(np.array([[1, 0, 0, 0], [2, 0, 0, 0]], np.float32))
        assert heard.argmax(1).tolist() == [2, 3]
    await server.stop()


async def test_streams_are_the_whole(client: TokenizerClient) -> None:
    await check_streams(client)


async def test_bad_input_is_refused_and_the_next_call_served(client: TokenizerClient) -> None:
    await check_bad_input(client)


async def test_company_changes_nothing(client: TokenizerClient) -> None:
    waveforms = [noise(8_000 + 700 * i, seed=i) for i in range(6)]
    alone = [await client.encode(waveform) for waveform in waveforms]
    together = await asyncio.gather(*(client.encode(waveform) for waveform in waveforms))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


async def test_an_endless_stream_keeps_bounded_state(model: StepModel, client: TokenizerClient) -> None:
    """What a session holds after four minutes is what it held after one."""
    encoder, decoder = model.new_encoder_state(), model.new_decoder_state()
    sizes = []
    for minute in range(4):
        waveform = noise(60 * 16_000, seed=minute)
        for piece in pieces(waveform, 160_000):
            (posteriors,) = model.run([EncodeStep(waveform=piece, state=encoder, last=False)])
            model.run([DecodeStep(latents=posteriors.mean, state=decoder, last=False)])
        sizes.append(held(encoder) + held(decoder))
    assert sizes[-1] <= sizes[0] * 1.1


def held(state: Any) -> int:
    """How much a session's state holds: blocks where kernels run, else bytes."""
    blocks = getattr(state.cache, "blocks", None)
    return len(pickle.dumps(state)) if blocks is None else len(blocks)


def test_a_stream_that_is_refused_fails_no_neighbour(model: StepModel) -> None:
    ended = model.new_encoder_state(), model.new_decoder_state()
    waveform, latents = noise(3_200), np.zeros((5, model.latent_dim), np.float32)

    def steps(encoder: object, decoder: object) -> list[Step]:
        return [
            EncodeStep(waveform=waveform, state=encoder, last=True),
            DecodeStep(latents=latents, state=decoder, last=True),
        ]

    model.run(steps(*ended))
    alone = model.run(steps(model.new_encoder_state(), model.new_decoder_state()))
    beside = model.run(steps(*ended) + steps(model.new_encoder_state(), model.new_decoder_state()))
    for refused in beside[:2]:
        assert isinstance(refused, InvalidInputError)
    assert isinstance(alone[0], FramePosteriors)
    assert isinstance(beside[2], FramePosteriors)
    np.testing.assert_allclose(beside[2].mean, alone[0].mean, atol=2e-5)
    np.testing.assert_allclose(beside[3], alone[1], atol=2e-5)


async def test_a_caller_who_leaves_frees_its_place() -> None:
    fake = FakeStepModel()
    server = make_server(Settings(model_dir=Path(), port=0, max_sessions=1, grace_seconds=1), fake)
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = tokenizer_pb2_grpc.TokenizerServiceStub(channel).StreamDecode(timeout=30)
        await call.write(pb.StreamDecodeRequest(latents=bytes(16 * 5)))
        assert len((await call.read()).waveform) == 4 * (1600 - 480)
        async with TokenizerClient(f"127.0.0.1:{port}", ClientConfig(max_attempts=1)) as client:
            with pytest.raises(QueueFullError, match="1 calls are in progress and 1 are allowed"):
                await client.decode(np.zeros((1, 4), np.float32))
            call.cancel()  # as a dropped connection does
            async with asyncio.timeout(10):
                while True:
                    try:
                        await client.decode(np.zeros((1, 4), np.float32))
                        break
                    except QueueFullError:
                        await asyncio.sleep(0.02)
    await server.stop()


async def test_a_closed_generator_gives_the_stream_up() -> None:
    fake = FakeStepModel()
    server = make_server(Settings(model_dir=Path(), port=0, max_sessions=1, grace_seconds=1), fake)
    port = await server.start()

    async def endless() -> AsyncIterator[np.ndarray]:
        while True:
            yield np.zeros((5, 4), np.float32)
            await asyncio.sleep(0.01)

    async with TokenizerClient(f"127.0.0.1:{port}") as client:
        for _ in range(3):  # one place: each stream must have given it back, within the retries
            answers = client.stream_decode(endless())
            await anext(answers)
            await answers.aclose()
            await asyncio.sleep(0.1)
    await server.stop()


async def test_an_error_of_the_source_reaches_the_caller(client: TokenizerClient) -> None:
    async def broken() -> AsyncIterator[np.ndarray]:
        yield noise(1600)
        raise OSError("microphone unplugged")

    with pytest.raises(OSError, match="microphone unplugged"):
        _ = [latents async for latents in client.stream_encode(broken())]


async def test_a_full_replica_is_tried_again() -> None:
    fake = FakeStepModel()
    server = make_server(Settings(model_dir=Path(), port=0, max_sessions=1, grace_seconds=1), fake)
    port = await server.start()
    async with TokenizerClient(f"127.0.0.1:{port}", ClientConfig(max_attempts=5)) as client:
        calls = [client.decode(np.zeros((1, 4), np.float32)) for _ in range(2)]
        assert len(await asyncio.gather(*calls)) == 2
    await server.stop()


async def test_nobody_there_is_unavailable() -> None:
    async with TokenizerClient("127.0.0.1:1", ClientConfig(backoff_seconds=0.01)) as client:
        with pytest.raises(UnavailableError):
            await client.get_tokenizer(timeout_seconds=5)
        with pytest.raises(UnavailableError):
            _ = [piece async for piece in client.stream_encode(_once(noise(320)))]


async def _once(value: np.ndarray) -> AsyncIterator[np.ndarray]:
    yield value
