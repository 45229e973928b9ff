"""The clients against both services, faked on a loopback port: answers, errors, retries, cancellation."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator, Iterator

import grpc
import numpy as np
import pytest

from tests.fakes_server import NUM_SAMPLES, FakeServices, serve, tone
from uniaudio.client import (
    AsyncSpeechClient,
    AudioPiece,
    EditPlan,
    EditReport,
    Progress,
    ReasoningText,
    SpeechClient,
    sampling,
)
from uniaudio.errors import (
    DeadlineError,
    InvalidAudioError,
    InvalidInputError,
    ModelOutputError,
    QueueFullError,
    UnavailableError,
)
from uniaudio.v1 import speech_pb2

AUDIO = np.zeros(4000, np.float32)


@pytest.fixture
def fake() -> Iterator[FakeServices]:
    with serve(FakeServices()) as services:
        yield services


@pytest.fixture
def client(fake: FakeServices) -> Iterator[SpeechClient]:
    with SpeechClient(fake.address, timeout_seconds=20) as client:
        yield client


def test_transcribe_sends_what_it_was_given(fake: FakeServices, client: SpeechClient) -> None:
    answer = client.transcribe(
        AUDIO, sample_rate=16000, context_phrases=["Ming"], language="English", request_id="r1"
    )
    assert (answer.text, answer.request_id) == ("hello there", "r1")
    request = fake.requests[0]
    assert (list(request.context_phrases), request.language) == (["Ming"], "English")
    assert len(request.audio.content) == 4 * len(AUDIO)


def test_synthesize_whole_and_in_pieces(fake: FakeServices, client: SpeechClient) -> None:
    np.testing.assert_array_equal(client.synthesize("hi").waveform(), tone())
    stream = client.synthesize("hi", sampling=sampling(seed=7, temperature=0.0), prompt_audio=b"RIFF")
    with pytest.raises(ModelOutputError, match="read the stream"):
        _ = stream.report
    pieces = list(stream)
    assert [piece.start_seconds for piece in pieces] == [0.0, 0.1]
    np.testing.assert_array_equal(np.concatenate([piece.waveform for piece in pieces]), tone())
    assert stream.report.seed == 7
    request = fake.requests[1]
    assert request.sampling.HasField("temperature")
    assert not request.sampling.HasField("guidance_scale")
    assert request.prompt_audio.content == b"RIFF"


def test_wav_answer_is_a_complete_file(client: SpeechClient) -> None:
    content = client.synthesize("hi", output_format="wav", output_sample_rate=24000).read()
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnframes(), file.getframerate()) == (NUM_SAMPLES, 24000)


def test_edit_yields_typed_events(client: SpeechClient) -> None:
    edit = client.edit(AUDIO, "twice as fast", sample_rate=16000)
    kinds = [type(event) for event in edit]
    assert kinds == [
        EditPlan, Progress, ReasoningText, ReasoningText, AudioPiece, AudioPiece, EditReport
    ]  # fmt: skip
    assert edit.plan.value == 2.0
    assert edit.reasoning_text == "hello there"
    assert edit.report.checks[0].measured == 0.5001


def test_edit_audio_and_plan_only(client: SpeechClient) -> None:
    np.testing.assert_array_equal(client.edit(AUDIO, "faster", sample_rate=16000).waveform(), tone())
    planned = client.edit(AUDIO, "faster", sample_rate=16000, validate_only=True)
    assert planned.read() == b""
    assert planned.plan.summary == "Twice as fast, same pitch."


def test_a_text_while_it_is_written(client: SpeechClient) -> None:
    answers = list(client.transcribe_progressively(AUDIO, sample_rate=16000, language="English"))
    assert [answer.text_delta for answer in answers] == ["hello", " there", ""]
    assert answers[-1].transcript.text == "hello there"
    assert answers[-1].transcript.language == "English"


def test_live_text(client: SpeechClient) -> None:
    answers = list(client.stream_transcribe(iter([b"ab", b"cd"]), sample_rate=16000))
    assert [answer.segment.text for answer in answers] == ["heard 2", "heard 4", "all 4"]
    assert answers[-1].final


def test_encode_and_decode(fake: FakeServices, client: SpeechClient) -> None:
    latents = client.encode(np.full(3201, 0.25, np.float32), sample_rate=16000, sample=True, seed=3)
    assert latents.shape == (11, 4)
    assert fake.requests[0].options.seed == 3
    waveform = client.decode(latents)
    assert waveform.shape == (11 * 320,)
    assert waveform[0] == 0.25


def test_latents_are_spelled(client: SpeechClient) -> None:
    latents = np.arange(8, dtype=np.float32).reshape(2, 4)
    letters = client.spell(latents)
    assert letters.alphabet == "ab"
    np.testing.assert_array_equal(letters.log_probabilities, latents[:, :3])


def test_more_than_one_message_goes_as_a_stream(
    client: SpeechClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from uniaudio.client import latents as wire

    whole = client.encode(np.linspace(-1, 1, 3200 * 4, dtype=np.float32), sample_rate=16000)
    waveform = client.decode(whole)
    monkeypatch.setattr(wire, "MAX_UNARY_SAMPLES", 100)
    monkeypatch.setattr(wire, "MAX_UNARY_FRAMES", 10)
    monkeypatch.setattr(wire, "_PIECE_SAMPLES", 3200)
    monkeypatch.setattr(wire, "_PIECE_FRAMES", 7)
    pieces = client.encode(np.linspace(-1, 1, 3200 * 4, dtype=np.float32), sample_rate=16000)
    np.testing.assert_array_equal(pieces, whole)
    np.testing.assert_array_equal(client.decode(pieces), waveform)


@pytest.mark.parametrize(
    "latents", [np.zeros((0, 4)), np.zeros(4), np.full((2, 4), np.nan), np.zeros((2, 4), int)]
)
def test_latents_that_are_none(client: SpeechClient, latents: np.ndarray) -> None:
    with pytest.raises(InvalidInputError):
        client.decode(latents)


def test_errors_come_back_as_they_were_raised(fake: FakeServices, client: SpeechClient) -> None:
    fake.failures["Transcribe"] = [InvalidAudioError("no sound in it", value="silence", limit="sound")]
    fake.failures["Edit"] = [QueueFullError("64 wait already", retry_after_seconds=3)]
    with pytest.raises(InvalidAudioError, match="no sound") as caught:
        client.transcribe(AUDIO, sample_rate=16000)
    assert caught.value.metadata == {"value": "silence", "limit": "sound"}
    assert isinstance(caught.value.__cause__, grpc.RpcError)
    with pytest.raises(QueueFullError, match="64 wait"):
        client.edit(AUDIO, "faster", sample_rate=16000).read()
    assert client.transcribe(AUDIO, sample_rate=16000).text


def test_unavailable_is_tried_again_where_that_is_safe(fake: FakeServices, client: SpeechClient) -> None:
    fake.failures["Transcribe"] = [UnavailableError("starting")] * 2
    large = np.zeros(500_000, np.float32)  # beyond the buffer that gRPC keeps for retries by default
    assert client.transcribe(large, sample_rate=16000).text == "hello there"
    assert len(fake.requests) == 3
    fake.failures["Synthesize"] = [UnavailableError("starting")]
    with pytest.raises(UnavailableError):
        client.synthesize("hi").read()


def test_retries_are_bounded(fake: FakeServices, client: SpeechClient) -> None:
    fake.failures["GetInfo"] = [UnavailableError("starting")] * 9
    with pytest.raises(UnavailableError, match="starting"):
        client.info()
    assert len(fake.requests) == 4


def test_nobody_there() -> None:
    with (
        SpeechClient("127.0.0.1:1", timeout_seconds=5) as client,
        pytest.raises(UnavailableError, match=r"nobody answers at 127\.0\.0\.1:1: Connection refused"),
    ):
        client.info()


def test_deadline(fake: FakeServices, client: SpeechClient) -> None:
    fake.wait_after_first_piece = lambda _: fake.cancelled.wait(10)
    with pytest.raises(DeadlineError):
        client.synthesize("hi", timeout_seconds=0.3).read()
    assert fake.cancelled.wait(10)


def test_leaving_early_cancels(fake: FakeServices, client: SpeechClient) -> None:
    fake.wait_after_first_piece = lambda _: fake.cancelled.wait(10)
    with client.synthesize("hi") as stream:
        for _ in stream:
            break
    assert fake.cancelled.wait(10)


@pytest.fixture
async def async_client(fake: FakeServices) -> AsyncIterator[AsyncSpeechClient]:
    async with AsyncSpeechClient(fake.address, timeout_seconds=20) as client:
        yield client


async def test_async_does_the_same(fake: FakeServices, async_client: AsyncSpeechClient) -> None:
    client = async_client
    info, tokenizer = await asyncio.gather(client.info(), client.tokenizer_info())
    assert (info.version, tokenizer.latent_dim) == ("9.9.9", 4)
    assert (await client.transcribe(AUDIO, sample_rate=16000)).text == "hello there"
    written = [answer async for answer in client.transcribe_progressively(AUDIO, sample_rate=16000)]
    assert written[-1].transcript.text == "".join(answer.text_delta for answer in written) == "hello there"
    np.testing.assert_array_equal(await client.synthesize("hi").waveform(), tone())
    edit = client.edit(AUDIO, "faster", sample_rate=16000)
    assert [type(event) async for event in edit][-1] is EditReport
    assert edit.report.result_seconds == pytest.approx(0.2)
    latents = await client.encode(AUDIO, sample_rate=16000)
    assert (await client.decode(latents)).shape == (len(latents) * 320,)
    assert (await client.spell(latents)).log_probabilities.shape == (len(latents), 3)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ab"
        yield b"cd"

    answers = [answer async for answer in client.stream_transcribe(pieces(), sample_rate=16000)]
    assert isinstance(answers[0], speech_pb2.StreamTranscribeResponse)
    assert answers[-1].segment.text == "all 4"


async def test_async_errors_and_cancellation(fake: FakeServices, async_client: AsyncSpeechClient) -> None:
    fake.failures["Edit"] = [InvalidAudioError("no sound in it")]
    with pytest.raises(InvalidAudioError, match="no sound"):
        await async_client.edit(AUDIO, "faster", sample_rate=16000).read()
    fake.wait_after_first_piece = lambda _: fake.cancelled.wait(10)
    async with async_client.synthesize("hi") as stream:
        async for _ in stream:
            break
    assert await asyncio.to_thread(fake.cancelled.wait, 10)
