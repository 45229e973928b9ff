"""Texts are spoken sentence by sentence, as they are made; what cannot be right is made anew, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import numpy as np
import pytest

from services.orchestrator.attempts import Patience, derive_seed
from services.orchestrator.clients import Finished, Generated, Speak, TextMade, Understand
from services.orchestrator.domain import (
    AudioBytes,
    FinishReason,
    Model,
    Recording,
    Sampling,
    SynthesizeOrder,
    SynthesizeReport,
)
from services.orchestrator.synthesize import SynthesisConfig, Synthesizer
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.voices.policy import UPLOADED_VOICE_NOTICE
from tests.fakes_speech import (
    RANDOM,
    FakeLanguageModel,
    FakeTokenizer,
    hearing,
    noise_patches,
    patches,
    reading,
    split_at_bars,
    tone,
)
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.errors import (
    InvalidAudioError,
    InvalidInputError,
    LimitExceededError,
    ModelOutputError,
    UnavailableError,
)

LONG = "One sentence that is long enough to be spoken for a while, and then some more."


def synthesizer(
    model: FakeLanguageModel, tokenizer: FakeTokenizer | None = None, config: SynthesisConfig | None = None
) -> Synthesizer:
    tokenizer = tokenizer or FakeTokenizer()
    return Synthesizer(tokenizer, model, Transcriber(tokenizer, model), split_at_bars, config=config)


async def speak(model: FakeLanguageModel, **order: object) -> tuple[list[AudioBytes], SynthesizeReport]:
    """The audio and the report."""
    items = [item async for item in synthesizer(model).synthesize(SynthesizeOrder(**order))]  # type: ignore[arg-type]
    audio = [item for item in items if isinstance(item, AudioBytes)]
    assert isinstance(items[-1], SynthesizeReport)
    return audio, items[-1]


def prompt(seconds: float) -> Recording:
    return Recording(content=encode_audio(tone(seconds), AudioFormat(encoding=AudioEncoding.FLAC)))


def by_attempt(*answers: list[Generated]) -> Callable[..., list[Generated]]:
    """A model that answers differently each time."""
    left = list(answers)
    return lambda *_: left.pop(0)


async def test_a_text_becomes_audio_and_a_report() -> None:
    audio, report = await speak(FakeLanguageModel(reading()), text="Hello there", sampling=Sampling(seed=7))
    samples = np.frombuffer(b"".join(piece.content for piece in audio), "<i2")
    assert len(samples) / 16_000 == report.audio_seconds == 1.1
    assert next(piece.start_seconds for piece in audio) == 0
    assert audio[-1].start_seconds == pytest.approx(1.1 - len(audio[-1].content) / 32_000)
    assert (report.spoken_text, report.seed, report.finish_reason) == ("Hello there", 7, FinishReason.STOP)
    assert report.warnings == ("the weights are random",)


async def test_the_first_audio_leaves_before_the_last_patch_is_made() -> None:
    gate = asyncio.Event()
    model = FakeLanguageModel(reading(), pause=lambda index: gate if index == 40 else None)
    async with aclosing(synthesizer(model).synthesize(SynthesizeOrder(text=LONG))) as items:
        async with asyncio.timeout(5):
            assert isinstance(await anext(items), AudioBytes)
        assert model.num_made <= 40
        gate.set()
        rest = [item async for item in items]
    assert isinstance(rest[-1], SynthesizeReport)
    assert rest[-1].first_audio_seconds > 0


async def test_the_same_seed_gives_the_same_audio_and_another_does_not() -> None:
    runs = [
        await speak(FakeLanguageModel(reading()), text="A | B", sampling=Sampling(seed=seed))
        for seed in (5, 5, 6)
    ]
    first, again, other = (b"".join(piece.content for piece in audio) for audio, _ in runs)
    assert first == again != other


async def test_a_seed_is_drawn_and_told_where_none_was_set() -> None:
    model = FakeLanguageModel(reading())
    _, report = await speak(model, text="Hello")
    assert model.tasks[0][2].seed == report.seed
    _, other = await speak(FakeLanguageModel(reading()), text="Hello")
    assert report.seed != other.seed


async def test_sentences_have_seeds_of_their_own() -> None:
    model = FakeLanguageModel(reading())
    await speak(model, text="First | Second | Third", sampling=Sampling(seed=9))
    seeds = [sampling.seed for _, _, sampling in model.tasks]
    assert seeds == [9, derive_seed(9, 1, 0), derive_seed(9, 2, 0)]
    assert len(set(seeds)) == 3


async def test_without_a_prompt_the_first_sentence_lends_its_voice() -> None:
    model = FakeLanguageModel(reading())
    await speak(model, text="First one | Second | Third")
    (first, no_voice, _), (second, voice, _), (third, same, _) = model.tasks
    assert no_voice is None
    assert voice is not None
    assert voice.shape == (50, 4)
    assert voice is same
    assert isinstance(first, Speak)
    assert first.prompt_text == ""
    assert isinstance(second, Speak)
    assert isinstance(third, Speak)
    assert second.prompt_text == third.prompt_text == "First one"


async def test_a_prompt_with_its_words_is_used_as_it_is() -> None:
    model = FakeLanguageModel(reading())
    _, report = await speak(model, text="Hi", prompt_audio=prompt(2.0), prompt_text="my voice")
    ((task, voice, _),) = model.tasks
    assert voice is not None
    assert len(voice) == 100
    assert task == Speak(text="Hi", prompt_text="my voice")
    assert report.warnings == (UPLOADED_VOICE_NOTICE, "the weights are random")


async def test_a_prompt_without_words_is_transcribed_first() -> None:
    model = FakeLanguageModel(reading("English\theard words"))
    _, report = await speak(model, text="Hi", prompt_audio=prompt(2.0))
    (heard, _, _), (spoken, _, _) = model.tasks
    assert isinstance(heard, Understand)
    assert spoken == Speak(text="Hi", prompt_text="heard words")
    assert "transcribed the prompt" in report.warnings[1]


@pytest.mark.parametrize(("seconds", "error"), [(0.3, InvalidAudioError), (31.0, LimitExceededError)])
async def test_prompts_of_no_use_are_refused(seconds: float, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"allowed are 0\.5 to 30 s"):
        await speak(FakeLanguageModel(reading()), text="Hi", prompt_audio=prompt(seconds))


async def test_a_silent_try_is_made_anew_with_another_seed() -> None:
    model = FakeLanguageModel(by_attempt(list(patches([0.0] * 30)), list(noise_patches(12))))
    _audio, report = await speak(model, text="Hello there", sampling=Sampling(seed=3))
    assert [sampling.seed for _, _, sampling in model.tasks] == [3, derive_seed(3, 0, 1)]
    assert report.audio_seconds == 1.2
    assert report.warnings == ("the weights are random",)


async def test_a_short_try_is_made_anew_and_the_best_is_kept_in_the_end() -> None:
    model = FakeLanguageModel(by_attempt(*(list(noise_patches(count)) for count in (2, 5, 3))))
    _, report = await speak(model, text=LONG)
    assert report.audio_seconds == 0.5
    assert report.warnings[0] == (
        "sentence 1 came out short (0.5 s, at least 1.2 s expected) in each of 3 tries"
    )


def saying(*heard: str) -> Callable[..., list[Generated]]:
    """A model that speaks audibly, and then hears one of these in it, in order."""
    left, made = list(heard), iter(range(100))
    return lambda task, *_: (
        [TextMade(f"English\t{left.pop(0)}")]
        if isinstance(task, Understand)
        else list(noise_patches(12, seed=next(made)))
    )


async def test_takes_are_heard_until_one_is_right() -> None:
    model = FakeLanguageModel(saying("fellow there", "hello there", "never asked for"))
    audio, report = await speak(model, text="Hello there.", sampling=Sampling(seed=3, takes=8))
    spoken = [sampling.seed for task, _, sampling in model.tasks if isinstance(task, Speak)]
    assert spoken == [3, derive_seed(3, 0, 1)]
    assert report.warnings == ("the weights are random",)
    expected = np.concatenate([patch.latents[:, 0] for patch in noise_patches(12, seed=1)])
    samples = np.frombuffer(b"".join(piece.content for piece in audio), "<i2") / 32768
    assert samples[::320] == pytest.approx(expected, abs=1e-3)


async def test_the_take_with_the_fewest_wrong_words_is_sent_and_told() -> None:
    model = FakeLanguageModel(saying("one", "one two", "one"))
    audio, report = await speak(model, text="one two three", sampling=Sampling(takes=3))
    assert report.warnings[0] == "sentence 1 was heard with 33% of its words wrong in the best of 3 takes"
    second = noise_patches(12, seed=1)[0].latents[0, 0]
    assert np.frombuffer(audio[0].content, "<i2")[0] / 32768 == pytest.approx(second, abs=1e-3)


@pytest.mark.parametrize(("levels", "used", "is_told"), [((0.2, 0.4, 0.3), 1, False), ((0.3, 0.2), 0, True)])
async def test_where_the_tokenizer_has_an_ear_it_chooses(
    levels: tuple[float, ...], used: int, is_told: bool
) -> None:
    says = {2: "ha--", 3: "hal-lo there", 4: "hel-lo there"}  # by loudness
    tokenizer = hearing(lambda latents: says[round(10 * float(latents[:, 0].mean()))])
    left = iter(levels)
    model = FakeLanguageModel(
        lambda task, *_: (
            [TextMade("English\thallo there")] if isinstance(task, Understand) else patches([next(left)] * 12)
        )
    )
    order = SynthesizeOrder(text="Hello there.", sampling=Sampling(seed=3, takes=len(levels)))
    *pieces, report = [item async for item in synthesizer(model, tokenizer).synthesize(order)]
    samples = np.frombuffer(b"".join(piece.content for piece in pieces), "<i2") / 32768
    assert samples.mean() == pytest.approx(levels[used], abs=1e-3)
    told = "sentence 1 was heard with 50% of its words wrong in the best of 2 takes"
    assert (report.warnings[0] == told) == is_told
    assert any(isinstance(task, Understand) for task, _, _ in model.tasks) == is_told


async def test_a_take_that_cannot_be_right_is_not_listened_to() -> None:
    answers = [list(patches([0.0] * 12)), list(noise_patches(12)), [TextMade("English\thello")]]
    model = FakeLanguageModel(by_attempt(*answers))
    _, report = await speak(model, text="Hello", sampling=Sampling(takes=2))
    assert len(model.tasks) == 3
    assert report.warnings == ("the weights are random",)


async def test_the_model_says_how_many_takes_it_wants() -> None:
    served = Model(name="small", takes=2)
    model = FakeLanguageModel(saying("a", "b"), served=served)
    await speak(model, text="Hello")
    assert sum(isinstance(task, Speak) for task, _, _ in model.tasks) == 2
    model = FakeLanguageModel(saying(), served=served)
    await speak(model, text="Hello", sampling=Sampling(takes=1))
    assert len(model.tasks) == 1


async def test_what_has_left_is_not_taken_back_but_told() -> None:
    model = FakeLanguageModel(lambda *_: list(noise_patches(25)))
    text = LONG * 3
    _, report = await speak(model, text=text)
    assert len(model.tasks) == 1
    assert report.audio_seconds == 2.5
    assert report.warnings[0].startswith("sentence 1 came out short (2.5 s")


@pytest.mark.parametrize(("max_held_seconds", "held_seconds"), [(2.0, 1.3), (0.5, 0.5), (0.0, 0.1)])
async def test_speech_leaves_when_enough_of_it_is_there(max_held_seconds: float, held_seconds: float) -> None:
    model = FakeLanguageModel(lambda *_: list(noise_patches(20)))
    config = SynthesisConfig(patience=Patience(max_held_seconds=max_held_seconds))
    tokenizer = FakeTokenizer()
    items = synthesizer(model, tokenizer, config).synthesize(SynthesizeOrder(text=LONG))
    assert isinstance(await anext(items), AudioBytes)
    assert tokenizer.decoded_patches == round(held_seconds * 10)
    await items.aclose()


async def test_a_cap_that_was_reached_is_told() -> None:
    events = [*noise_patches(12), Finished(FinishReason.LENGTH, "", 12, RANDOM)]
    _, report = await speak(FakeLanguageModel(lambda *_: events), text="Hello")
    assert report.finish_reason is FinishReason.LENGTH
    assert any("longest" in warning for warning in report.warnings)


async def test_an_answer_without_any_sound_is_an_error() -> None:
    model = FakeLanguageModel(lambda *_: [TextMade("words only")])
    with pytest.raises(ModelOutputError, match="no sound at all"):
        await speak(model, text="Hello")
    assert len(model.tasks) == Patience().max_attempts


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("x" * 10_000_000, LimitExceededError),
        ("", InvalidInputError),
        (" \n ", InvalidInputError),
        ("?!", InvalidInputError),
    ],
)
async def test_texts_that_cannot_be_spoken_are_refused_before_any_work(
    text: str, error: type[Exception]
) -> None:
    model = FakeLanguageModel(reading())
    with pytest.raises(error) as caught:
        await speak(model, text=text)
    assert {"value", "limit", "remedy"} <= set(caught.value.metadata)  # type: ignore[attr-defined]
    assert model.tasks == []


async def test_an_unwritable_format_is_refused_before_any_work() -> None:
    model = FakeLanguageModel(reading())
    with pytest.raises(InvalidAudioError, match="MP3 cannot be written"):
        await speak(model, text="Hi", output=AudioFormat(encoding=AudioEncoding.MP3, sample_rate=96_000))
    assert model.tasks == []


@pytest.mark.parametrize(
    "encoding", [AudioEncoding.WAV, AudioEncoding.FLAC, AudioEncoding.OGG, AudioEncoding.MP3]
)
async def test_audio_comes_as_one_file_of_the_asked_form(encoding: AudioEncoding) -> None:
    audio, report = await speak(
        FakeLanguageModel(reading()),
        text="Hello there",
        output=AudioFormat(encoding=encoding, sample_rate=24_000),
    )
    content = b"".join(piece.content for piece in audio)
    assert len(decode_audio(content)) / 16_000 == pytest.approx(report.audio_seconds, abs=0.15)
    assert {piece.start_seconds for piece in audio} == {0.0}


async def test_a_caller_who_leaves_stops_the_model() -> None:
    model, tokenizer = FakeLanguageModel(reading()), FakeTokenizer()
    items = synthesizer(model, tokenizer).synthesize(SynthesizeOrder(text=LONG))
    await anext(items)
    await items.aclose()
    assert (model.num_open, model.num_cancelled, tokenizer.num_open) == (0, 1, 0)


async def test_a_neighbour_that_is_away_is_told_as_it_is() -> None:
    model = FakeLanguageModel(reading(), error=UnavailableError("the LLM is away"))
    with pytest.raises(UnavailableError, match="LLM is away"):
        await speak(model, text="Hello")


def test_the_config_is_frozen() -> None:
    with pytest.raises(AttributeError):
        SynthesisConfig().max_sentence_characters = 1  # type: ignore[misc]
