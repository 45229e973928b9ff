"""The servicer without a server: what it accepts, what it refuses, and that a refusal harms nobody else."""

from __future__ import annotations

import asyncio
import itertools
import tracemalloc
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from services.tokenizer.batcher import Batcher
from services.tokenizer.model import Step, StepResult
from services.tokenizer.servicer import TokenizerServicer
from tests.fake_tokenizer import FakeStepModel
from uniaudio.errors import (
    CancelledByCallerError,
    DeadlineError,
    InvalidAudioError,
    InvalidInputError,
    LimitExceededError,
    ModelOutputError,
    QueueFullError,
    UniaudioError,
)
from uniaudio.v1 import tokenizer_pb2 as pb

SAMPLE = pb.EncodeOptions(posterior=pb.POSTERIOR_MODE_SAMPLE, seed=7)


@pytest.fixture
def model() -> FakeStepModel:
    return FakeStepModel()


@pytest.fixture
async def servicer(model: FakeStepModel) -> AsyncIterator[TokenizerServicer]:
    batcher: Batcher[Step, StepResult] = Batcher(model.run, max_sessions=4, max_batch_cost=2_000)
    batcher.start()
    yield TokenizerServicer(model, batcher, idle_seconds=0.2)
    model.gate.set()
    await batcher.close()


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def ramp(num_samples: int) -> np.ndarray:
    return np.linspace(-1, 1, num_samples, dtype=np.float32)


async def give(requests: Iterable[Any]) -> AsyncIterator[Any]:
    for request in requests:
        yield request


async def encode_in_pieces(
    servicer: TokenizerServicer,
    waveform: np.ndarray,
    sizes: list[int],
    options: pb.EncodeOptions | None = None,
) -> np.ndarray:
    starts = np.cumsum([0, *sizes])
    pieces = [waveform[a:b] for a, b in pairwise(starts)]
    requests = [pb.StreamEncodeRequest(waveform=piece.tobytes(), options=options) for piece in pieces]
    requests.append(pb.StreamEncodeRequest(last=True))
    answers = [answer async for answer in servicer.StreamEncode(give(requests))]
    assert [answer.last for answer in answers] == [False] * (len(answers) - 1) + [True]
    return np.concatenate([np.frombuffer(answer.latents, "<f4").reshape(-1, 4) for answer in answers])


async def test_sizes_and_model_are_told(servicer: TokenizerServicer) -> None:
    answer = await servicer.GetTokenizer(pb.GetTokenizerRequest())
    assert (answer.sample_rate, answer.hop_length, answer.latent_dim) == (16_000, 320, 4)
    assert (answer.model.name, answer.model.trained) == ("fake", False)


@pytest.mark.parametrize(("num_samples", "num_frames"), [(1, 1), (320, 1), (321, 2), (400_000, 1250)])
async def test_a_waveform_is_padded_to_whole_frames(
    servicer: TokenizerServicer, num_samples: int, num_frames: int
) -> None:
    answer = await servicer.Encode(pb.EncodeRequest(waveform=ramp(num_samples).tobytes()))
    assert (answer.num_frames, answer.latent_dim, len(answer.latents)) == (num_frames, 4, num_frames * 16)


async def test_a_long_message_runs_in_bounded_steps(
    model: FakeStepModel, servicer: TokenizerServicer
) -> None:
    await servicer.Decode(pb.DecodeRequest(latents=bytes(1_600 * 16)))
    assert model.batches == [1, 1, 1, 1]


@given(st.lists(st.integers(0, 2_000), max_size=6))
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_however_it_is_cut_a_stream_is_the_whole(sizes: list[int]) -> None:
    async def check() -> None:
        model = FakeStepModel()
        batcher: Batcher[Step, StepResult] = Batcher(model.run, max_sessions=4, max_batch_cost=2_000)
        batcher.start()
        servicer = TokenizerServicer(model, batcher)
        waveform = ramp(sum(sizes))
        streamed = await encode_in_pieces(servicer, waveform, sizes, SAMPLE)
        if len(waveform):
            whole = await servicer.Encode(pb.EncodeRequest(waveform=waveform.tobytes(), options=SAMPLE))
            np.testing.assert_array_equal(streamed.ravel(), np.frombuffer(whole.latents, "<f4"))
        else:
            assert len(streamed) == 0
        await batcher.close()

    asyncio.run(check())


async def test_the_seed_decides_the_sample(servicer: TokenizerServicer) -> None:
    async def latents(options: pb.EncodeOptions) -> bytes:
        return (
            await servicer.Encode(pb.EncodeRequest(waveform=ramp(640).tobytes(), options=options))
        ).latents

    other = pb.EncodeOptions(posterior=pb.POSTERIOR_MODE_SAMPLE, seed=8)
    assert await latents(SAMPLE) == await latents(SAMPLE)
    assert await latents(SAMPLE) != await latents(other)
    assert await latents(pb.EncodeOptions(seed=7)) == await latents(pb.EncodeOptions())


async def test_a_decoded_stream_is_the_whole(servicer: TokenizerServicer) -> None:
    latents = np.arange(28, dtype=np.float32).reshape(7, 4)
    whole = await servicer.Decode(pb.DecodeRequest(latents=latents.tobytes()))
    requests = [pb.StreamDecodeRequest(latents=row.tobytes()) for row in latents]
    requests.append(pb.StreamDecodeRequest(last=True))
    answers = [answer async for answer in servicer.StreamDecode(give(requests))]
    assert b"".join(answer.waveform for answer in answers) == whole.waveform
    assert answers[-1].last


async def test_endless_streams_take_bounded_memory(servicer: TokenizerServicer) -> None:
    """What a quarter of an hour of audio and of latents holds is what its first half held."""
    second, latents = bytes(4 * 16_000), bytes(16 * 50)

    async def sizes(answers: AsyncIterator[Any]) -> list[int]:
        return [tracemalloc.get_traced_memory()[0] async for _ in answers]

    encoding = servicer.StreamEncode(give(_endlessly(pb.StreamEncodeRequest(waveform=second))))
    decoding = servicer.StreamDecode(give(_endlessly(pb.StreamDecodeRequest(latents=latents))))
    tracemalloc.start()
    try:
        encoded, decoded = await asyncio.gather(sizes(encoding), sizes(decoding))
    finally:
        tracemalloc.stop()
    for taken in (encoded, decoded):
        assert len(taken) == 900
        assert max(taken[450:]) - max(taken[50:450]) < 256 * 1024


def _endlessly(request: Any) -> Iterator[Any]:
    yield from itertools.repeat(request, 899)
    yield type(request)(last=True)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", InvalidAudioError, "waveform is empty; send 1 to 9600000 samples"),
        (b"\0" * 5, InvalidAudioError, "5 bytes, which is no whole number of float32 samples"),
        (floats(0, np.nan), InvalidAudioError, "sample 1 is nan"),
        (floats(np.inf), InvalidAudioError, "sample 0 is inf"),
        (bytes(4 * 9_600_001), LimitExceededError, "9600001 samples and 9600000 are allowed"),
    ],
)
async def test_a_bad_waveform_is_refused(
    servicer: TokenizerServicer, content: bytes, error: type[UniaudioError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await servicer.Encode(pb.EncodeRequest(waveform=content))
    assert (await servicer.Encode(pb.EncodeRequest(waveform=floats(0.5)))).num_frames == 1


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (b"", InvalidInputError, "latents are empty; send 1 to 30000 rows"),
        (b"\0" * 17, InvalidInputError, "17 bytes, which is no whole number of rows"),
        (bytes(4 * 5), InvalidInputError, "rows are 4 float32 values = 16 bytes"),
        (floats(0, 0, 0, 0, 0, -np.inf, 0, 0), InvalidInputError, "row 1, column 1 is -inf"),
        (bytes(16 * 30_001), LimitExceededError, "30001 rows and 30000 are allowed"),
    ],
)
async def test_bad_latents_are_refused(
    servicer: TokenizerServicer, content: bytes, error: type[UniaudioError], message: str
) -> None:
    with pytest.raises(error, match=message):
        await servicer.Decode(pb.DecodeRequest(latents=content))
    assert len((await servicer.Decode(pb.DecodeRequest(latents=bytes(16)))).waveform) == 1280


@pytest.mark.parametrize(
    ("requests", "error", "message"),
    [
        ([pb.StreamDecodeRequest(last=True)], InvalidInputError, "ended without a latent"),
        ([pb.StreamDecodeRequest(latents=bytes(16))], CancelledByCallerError, "without its last message"),
        ([], CancelledByCallerError, "without its last message"),
        ([pb.StreamDecodeRequest(latents=bytes(16 * 1501))], LimitExceededError, "1501 rows and 1500"),
        ([pb.StreamDecodeRequest(request_id="x" * 129)], InvalidInputError, "129 characters"),
    ],
)
async def test_a_bad_stream_is_refused_and_frees_its_place(
    servicer: TokenizerServicer,
    requests: list[pb.StreamDecodeRequest],
    error: type[UniaudioError],
    message: str,
) -> None:
    for _ in range(6):  # more than there are places
        with pytest.raises(error, match=message):
            _ = [answer async for answer in servicer.StreamDecode(give(requests))]


async def test_a_silent_stream_is_closed(servicer: TokenizerServicer) -> None:
    async def silence() -> AsyncIterator[pb.StreamEncodeRequest]:
        yield pb.StreamEncodeRequest(waveform=bytes(4))
        await asyncio.sleep(30)

    with pytest.raises(DeadlineError, match=r"no message came for 0.2 s"):
        _ = [answer async for answer in servicer.StreamEncode(silence())]


async def test_more_callers_than_places_are_told_to_come_back(
    model: FakeStepModel, servicer: TokenizerServicer
) -> None:
    model.gate.clear()
    request = pb.EncodeRequest(waveform=floats(0))
    inside = [asyncio.create_task(servicer.Encode(request)) for _ in range(4)]
    await asyncio.sleep(0.05)
    with pytest.raises(QueueFullError, match="4 calls are in progress"):
        await servicer.Encode(request)
    model.gate.set()
    assert len(await asyncio.gather(*inside)) == 4
    await servicer.Encode(request)


async def test_an_unknown_posterior_is_refused(servicer: TokenizerServicer) -> None:
    options = pb.EncodeOptions()
    options.MergeFromString(b"\x08\x09")  # posterior = 9
    with pytest.raises(InvalidInputError, match="posterior=9"):
        await servicer.Encode(pb.EncodeRequest(waveform=floats(0), options=options))


async def test_numbers_that_are_none_never_leave(servicer: TokenizerServicer) -> None:
    with pytest.raises(ModelOutputError, match="not finite"):
        await servicer.Encode(pb.EncodeRequest(waveform=np.full(320, 3e38, "<f4").tobytes()))


async def test_health_follows_the_model(model: FakeStepModel, servicer: TokenizerServicer) -> None:
    await servicer.check_health()
    model.fail_next = RuntimeError("device lost")
    with pytest.raises(RuntimeError, match="device lost"):
        await servicer.check_health()
    await servicer.check_health()


async def test_latents_are_spelled(servicer: TokenizerServicer, model: FakeStepModel) -> None:
    rows = np.zeros((3, 4), "<f4")
    rows[:, 0] = [1, 0, 2]
    answer = await servicer.Spell(pb.SpellRequest(latents=rows.tobytes()))
    heard = np.frombuffer(answer.log_probabilities, "<f4").reshape(answer.num_frames, -1)
    assert [("-" + answer.alphabet)[column] for column in heard.argmax(1)] == ["a", " ", "b"]
    assert (await servicer.GetTokenizer(pb.GetTokenizerRequest())).alphabet == " ab"


async def test_a_model_without_an_ear_says_so(servicer: TokenizerServicer, model: FakeStepModel) -> None:
    model.alphabet = ""
    with pytest.raises(InvalidInputError, match="no letter ear") as refused:
        await servicer.Spell(pb.SpellRequest(latents=bytes(16)))
    assert refused.value.reason == "NOT_SUPPORTED"


@pytest.mark.parametrize("num_bytes", [0, 15, 16 * 3001])
async def test_what_cannot_be_spelled_is_refused_before_it_is_decoded(
    servicer: TokenizerServicer, num_bytes: int
) -> None:
    with pytest.raises(UniaudioError, match="latents"):
        await servicer.Spell(pb.SpellRequest(latents=bytes(num_bytes)))
