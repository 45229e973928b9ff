"""Live audio becomes texts: provisional ones while an utterance grows, one final text per utterance."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import numpy as np
import pytest

from services.orchestrator.clients import TextMade
from services.orchestrator.domain import LiveOrder, LiveText
from services.orchestrator.live import LiveConfig, LiveTranscriber
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, Floats, reading, speech_like
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import DeadlineError, InvalidAudioError, LimitExceededError, UnavailableError

FORMAT = AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=16_000)


async def stream(waveform: Floats, size: int = 1_600) -> AsyncGenerator[bytes, None]:
    """The samples as 16-bit PCM, with room for the other side after each piece."""
    content = (waveform * 32767).astype("<i2").tobytes()
    for start in range(0, len(content), 2 * size):
        yield content[start : start + 2 * size]
        await asyncio.sleep(0)


def live(**options: object) -> LiveTranscriber:
    tokenizer = FakeTokenizer()
    transcriber = Transcriber(tokenizer, FakeLanguageModel(reading("English\thello")))
    return LiveTranscriber(transcriber, **options)  # type: ignore[arg-type]


async def texts_of(
    chunks: AsyncGenerator[bytes, None], order: LiveOrder, **options: object
) -> list[LiveText]:
    async with asyncio.timeout(20):
        return [text async for text in live(**options).transcribe(order, chunks)]


async def test_one_final_text_per_utterance() -> None:
    texts = await texts_of(stream(speech_like(1.5, 2.0, 1.0)), LiveOrder(format=FORMAT))
    assert [text.final for text in texts] == [True] * 3
    assert [text.segment.text for text in texts] == ["hello"] * 3
    starts = [text.segment.start_seconds for text in texts]
    assert starts == pytest.approx([0.0, 2.1, 4.9], abs=0.15)


async def test_provisional_texts_come_while_an_utterance_grows() -> None:
    texts = await texts_of(stream(speech_like(4.0)), LiveOrder(format=FORMAT, interim_results=True))
    assert texts[-1].final
    provisional = [text for text in texts if not text.final]
    assert len(provisional) >= 2
    ends = [text.segment.end_seconds for text in provisional]
    assert ends == sorted(ends)


async def test_a_text_grows_while_the_model_writes_and_does_not_shrink() -> None:
    pieces = [TextMade(text) for text in ("English\tone", " two", " three")]
    speech = LiveTranscriber(Transcriber(FakeTokenizer(), FakeLanguageModel(lambda *_: pieces)))
    order = LiveOrder(format=FORMAT, interim_results=True)
    async with asyncio.timeout(20):
        texts = [text async for text in speech.transcribe(order, stream(speech_like(3.0)))]
    told = [text.segment.text for text in texts]
    assert told[:3] == ["one", "one two", "one two three"]
    assert set(told[3:]) == {"one two three"}
    assert [text.model is None for text in texts[:4]] == [True, True, True, False]
    assert [text.final for text in texts][-1]


async def test_the_last_utterance_needs_no_pause() -> None:
    texts = await texts_of(stream(speech_like(2.0)[:-12_800]), LiveOrder(format=FORMAT))
    assert [text.final for text in texts] == [True]


async def test_another_rate_and_two_channels() -> None:
    slow = speech_like(1.5)
    stereo = np.repeat(np.repeat(slow, 3), 2)
    order = LiveOrder(
        format=AudioFormat(encoding=AudioEncoding.PCM_S16LE, sample_rate=48_000, num_channels=2)
    )
    (text,) = await texts_of(stream(stereo, 9_601), order)
    assert text.segment.end_seconds == pytest.approx(2.1, abs=0.15)


async def test_silence_and_an_empty_stream_give_nothing() -> None:
    assert await texts_of(stream(np.zeros(160_000, np.float32)), LiveOrder(format=FORMAT)) == []
    assert await texts_of(stream(np.zeros(0, np.float32)), LiveOrder(format=FORMAT)) == []


async def test_what_is_not_raw_pcm_is_refused() -> None:
    for encoding in (AudioEncoding.AUTO, AudioEncoding.FLAC):
        with pytest.raises(InvalidAudioError, match="raw PCM"):
            await texts_of(stream(speech_like(1.0)), LiveOrder(format=AudioFormat(encoding=encoding)))
    order = LiveOrder(format=AudioFormat(encoding=AudioEncoding.PCM_S16LE))
    with pytest.raises(InvalidAudioError, match="sample rate"):
        await texts_of(stream(speech_like(1.0)), order)


async def test_bounds_of_a_stream() -> None:
    with pytest.raises(LimitExceededError, match="a message holds"):
        await texts_of(stream(np.zeros(2**20, np.float32), 2**20), LiveOrder(format=FORMAT))
    with pytest.raises(LimitExceededError, match="lasts 3"):
        await texts_of(
            stream(np.zeros(80_000, np.float32)),
            LiveOrder(format=FORMAT),
            limits=AudioLimits(max_seconds=3.0),
        )


async def test_nan_ends_the_stream_with_its_place() -> None:
    async def broken() -> AsyncGenerator[bytes, None]:
        samples = np.zeros(1_600, np.float32)
        yield samples.tobytes()
        samples[7] = np.nan
        yield samples.tobytes()

    order = LiveOrder(format=AudioFormat(encoding=AudioEncoding.PCM_F32LE, sample_rate=16_000))
    with pytest.raises(InvalidAudioError, match="sample 1607 "):
        await texts_of(broken(), order)


async def test_a_caller_who_sends_nothing_is_not_waited_for() -> None:
    async def stuck() -> AsyncGenerator[bytes, None]:
        yield bytes(3_200)
        await asyncio.Event().wait()

    with pytest.raises(DeadlineError, match=r"nothing came for 0\.05 s"):
        await texts_of(stuck(), LiveOrder(format=FORMAT), config=LiveConfig(idle_seconds=0.05))


async def test_a_slow_model_slows_the_stream_down_instead_of_filling_memory() -> None:
    taken = 0
    gate = asyncio.Event()

    async def endless() -> AsyncGenerator[bytes, None]:
        nonlocal taken
        async for content in stream(speech_like(*[0.5] * 40)):
            taken += len(content) // 2
            yield content

    model = FakeLanguageModel(reading(), pause=lambda _: gate)
    speech = LiveTranscriber(Transcriber(FakeTokenizer(), model), config=LiveConfig(max_backlog=2))
    texts = speech.transcribe(LiveOrder(format=FORMAT), endless())
    waiting = asyncio.create_task(anext(texts))
    for _ in range(2_000):
        await asyncio.sleep(0)
    assert taken < 8 * 16_000
    gate.set()
    assert (await waiting).final
    await texts.aclose()
    assert model.num_open == 0


async def test_a_neighbour_that_is_away_ends_the_stream() -> None:
    tokenizer = FakeTokenizer()
    tokenizer.error = UnavailableError("away")
    speech = LiveTranscriber(Transcriber(tokenizer, FakeLanguageModel(reading())))
    with pytest.raises(UnavailableError):
        async for _ in speech.transcribe(LiveOrder(format=FORMAT), stream(speech_like(1.0, 1.0))):
            pass
