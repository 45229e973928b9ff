"""Recordings of any length are read window by window; hints reach the model; failures come out as they are."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from services.orchestrator.clients import Finished, Generated, Task, TextMade, Understand
from services.orchestrator.domain import (
    FinishReason,
    Recording,
    Sampling,
    TextDelta,
    TranscribeOrder,
    Transcript,
)
from services.orchestrator.readings import most_alike
from services.orchestrator.transcribe import Hints, Transcriber
from tests.fakes_speech import (
    RANDOM,
    FakeLanguageModel,
    FakeTokenizer,
    Floats,
    hearing,
    reading,
    speech_like,
    tone,
)
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import InvalidAudioError, LimitExceededError, QueueFullError, UnavailableError


def wav(seconds: float) -> Recording:
    """A tone as a file."""
    return Recording(content=encode_audio(tone(seconds), AudioFormat(encoding=AudioEncoding.WAV)))


async def test_a_recording_becomes_language_and_words() -> None:
    model = FakeLanguageModel(reading("English\thello world<|endoftext|>"))
    transcript = await Transcriber(FakeTokenizer(), model).transcribe(
        TranscribeOrder(audio=wav(2.0), context_phrases=("Ming", "audio"))
    )
    assert (transcript.text, transcript.language, transcript.audio_seconds) == ("hello world", "English", 2.0)
    assert not transcript.model.trained
    task, latents, _ = model.tasks[0]
    assert task == Understand(context_phrases=("Ming", "audio"))
    assert latents is not None
    assert latents.shape == (100, 4)


async def test_a_forced_language_is_not_looked_for_in_the_words() -> None:
    model = FakeLanguageModel(reading("no\tlanguage here"))
    transcript = await Transcriber(FakeTokenizer(), model).read(tone(1.0), Hints(language="川渝"))
    assert (transcript.language, transcript.text) == ("川渝", "no\tlanguage here")


async def test_words_are_told_while_they_are_written() -> None:
    pieces = [TextMade(text) for text in ("Eng", "lish\thello", " ", "world", "<|endoftext|>")]
    reader = Transcriber(FakeTokenizer(), FakeLanguageModel(lambda *_: pieces))
    *told, whole = [item async for item in reader.follow(TranscribeOrder(audio=wav(2.0)))]
    assert told == [TextDelta("hello"), TextDelta(" world")]
    assert whole == await reader.transcribe(TranscribeOrder(audio=wav(2.0)))


async def test_words_of_windows_are_told_in_their_order() -> None:
    """The first window's words come last of all, and are told first."""
    first = asyncio.Event()

    class FirstIsLast(FakeLanguageModel):
        async def generate(self, *arguments, **options):
            is_first = not self.tasks
            async for event in super().generate(*arguments, **options):
                if is_first:
                    await first.wait()
                yield event

    model = FirstIsLast(reading("English\tsome words"))
    reader = Transcriber(FakeTokenizer(), model, window_seconds=5.0, windows_at_once=3)
    told: list[str] = []
    transcribing = asyncio.create_task(reader.read(speech_like(3.0, 2.5, 3.5), Hints(), told.append))
    async with asyncio.timeout(10):
        while model.num_made < 3:
            await asyncio.sleep(0)
        assert told == []
        first.set()
        transcript = await transcribing
    assert len(transcript.segments) == 3
    assert "".join(told) == transcript.text


@pytest.mark.parametrize("reason", FinishReason)
async def test_a_text_that_met_its_limit_is_marked(reason: FinishReason) -> None:
    model = FakeLanguageModel(lambda *_: [TextMade("and and"), Finished(reason, "and and", 0, RANDOM)])
    transcript = await Transcriber(FakeTokenizer(), model).read(tone(1.0), Hints())
    assert [segment.truncated for segment in transcript.segments] == [reason is FinishReason.LENGTH]


async def test_a_long_recording_is_read_in_windows_in_order() -> None:
    model = FakeLanguageModel(
        lambda task, latents, sampling: [
            TextMade(f"English\twords of {0 if latents is None else len(latents)}")
        ]
    )
    waveform = speech_like(3.0, 2.5, 3.5, 3.0)
    transcript = await Transcriber(FakeTokenizer(), model, window_seconds=5.0).read(waveform, Hints())
    assert len(transcript.segments) >= 3
    assert transcript.segments[0].start_seconds == 0
    assert transcript.segments[-1].end_seconds == len(waveform) / 16_000
    for before, after in zip(transcript.segments, transcript.segments[1:], strict=False):
        assert before.end_seconds == after.start_seconds
    assert transcript.text == " ".join(segment.text for segment in transcript.segments)


async def test_few_windows_are_read_at_once() -> None:
    most = 0

    class Watched(FakeTokenizer):
        async def encode(self, waveform):
            nonlocal most
            self.num_open += 1
            most = max(most, self.num_open)
            await asyncio.sleep(0.001)
            self.num_open -= 1
            return await super().encode(waveform)

    reader = Transcriber(Watched(), FakeLanguageModel(reading()), window_seconds=2.0, windows_at_once=2)
    await reader.read(speech_like(1.5, 1.5, 1.5, 1.5, 1.5), Hints())
    assert most == 2


async def test_a_neighbour_that_is_away_is_told_as_it_is() -> None:
    tokenizer = FakeTokenizer()
    tokenizer.error = UnavailableError("the tokenizer is away; try again")
    with pytest.raises(UnavailableError, match="tokenizer is away"):
        await Transcriber(tokenizer, FakeLanguageModel(reading()), window_seconds=1.0).read(
            tone(5.0), Hints()
        )


@pytest.mark.parametrize(
    "hints",
    [{"context_phrases": ("a",) * 101}, {"context_phrases": ("a" * 101,)}, {"language": "a" * 33}],
)
def test_too_many_hints_are_refused(hints: dict[str, object]) -> None:
    with pytest.raises(LimitExceededError) as caught:
        Hints(**hints)  # type: ignore[arg-type]
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)


async def test_bad_audio_is_refused_before_any_neighbour_is_asked() -> None:
    tokenizer = FakeTokenizer()
    with pytest.raises(InvalidAudioError):
        await Transcriber(tokenizer, FakeLanguageModel(reading())).transcribe(
            TranscribeOrder(audio=Recording(content=b"not audio"))
        )
    assert tokenizer.encoded == []


async def test_a_model_of_short_stretches_reads_from_pause_to_pause() -> None:
    waveform = speech_like(1.5, 1.0, 2.0)
    for seconds, count in ((0.0, 1), (5.0, 3)):
        model = FakeLanguageModel(reading("English\thello"), served=replace(RANDOM, window_seconds=seconds))
        read = await Transcriber(FakeTokenizer(), model).read(waveform, Hints())
        assert len(read.segments) == count
        assert read.segments[-1].end_seconds == len(waveform) / 16_000


def reading_by_length(texts: dict[int, str]) -> FakeLanguageModel:
    """A model that reads a recording by how many frames it has, and wishes to read it seven times."""

    def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
        assert latents is not None
        return [TextMade(f"English\t{texts.get(len(latents), 'the old dog')}")]

    return FakeLanguageModel(script, served=replace(RANDOM, readings=7))


async def test_a_recording_is_read_several_times_and_the_likeliest_reading_taken() -> None:
    model = reading_by_length({100: "the cold dog", 107: "the old frog"})
    transcriber = Transcriber(FakeTokenizer(), model)
    assert (await transcriber.transcribe(TranscribeOrder(audio=wav(2.0)))).text == "the old dog"
    lengths = sorted(len(latents) for _, latents, _ in model.tasks if latents is not None)
    assert lengths == [90, 95, 100, 100, 100, 107, 114], "shifted by part of a frame, slower and faster"


async def test_an_ear_has_its_say_in_which_reading_is_taken() -> None:
    model = reading_by_length({100: "the cold dog", 107: "the old frog"})
    tokenizer = hearing(lambda latents: "the cold dog")
    transcript = await Transcriber(tokenizer, model).transcribe(TranscribeOrder(audio=wav(2.0)))
    assert transcript.text == "the cold dog"
    unsure = hearing(lambda latents: "---------------")
    assert (
        await Transcriber(unsure, model).transcribe(TranscribeOrder(audio=wav(2.0)))
    ).text == "the old dog"


async def test_whoever_waits_for_each_word_is_read_to_once() -> None:
    model = reading_by_length({100: "the cold dog"})
    transcriber = Transcriber(FakeTokenizer(), model)
    *_, whole = [item async for item in transcriber.follow(TranscribeOrder(audio=wav(2.0)))]
    assert isinstance(whole, Transcript)
    assert (whole.text, len(model.tasks)) == ("the cold dog", 1)


@pytest.mark.parametrize("seconds", [0.2, 45.0])
async def test_a_very_short_or_long_window_is_read_once(seconds: float) -> None:
    model = reading_by_length({})
    await Transcriber(FakeTokenizer(), model).transcribe(TranscribeOrder(audio=wav(seconds)))
    assert len(model.tasks) == 1


async def test_further_readings_stand_back_where_the_queue_is_full() -> None:
    class Full(FakeLanguageModel):
        async def generate(self, *arguments, **options):
            if self.tasks:
                raise QueueFullError("full", value=1, limit=1, remedy="wait")
            async for event in super().generate(*arguments, **options):
                yield event

    model = Full(reading("English\thello"), served=replace(RANDOM, readings=7))
    assert (
        await Transcriber(FakeTokenizer(), model).transcribe(TranscribeOrder(audio=wav(2.0)))
    ).text == "hello"


def test_the_text_most_like_all_others_is_chosen() -> None:
    assert most_alike(["a"]) == 0
    assert most_alike(["the cat sat", "a cat sat", "the cat sad", "the bat sat"]) == 0
    assert most_alike(["x y", "the cat", "the cat"]) == 1
    assert most_alike(["", ""]) == 0
