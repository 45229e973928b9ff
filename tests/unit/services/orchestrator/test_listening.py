"""Takes are judged by the letter ear where there is one for the text, else by what the model reads in them."""

from __future__ import annotations

import numpy as np

from services.orchestrator.listening import Listener
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import HOP, LETTERS, FakeLanguageModel, FakeTokenizer, Floats, hearing, reading


def says(letters: str) -> Floats:
    """A sound that the ear of `house` hears so: a letter each 20 ms, "-" for none."""
    levels = np.array([LETTERS.find(letter) + 1 for letter in letters], np.float32) / 100
    return np.repeat(levels, HOP)


def house() -> tuple[Listener, FakeLanguageModel]:
    tokenizer = hearing(
        lambda latents: "".join(
            ("-" + LETTERS)[letter] for letter in np.round(100 * latents[:, 0]).astype(int)
        )
    )
    model = FakeLanguageModel(reading("English\tab b"))
    return Listener(tokenizer, Transcriber(tokenizer, model)), model


async def test_the_ear_tells_right_from_wrong_without_the_model() -> None:
    listener, model = house()
    right = await listener.hear(says("-ab -b--"), "Ab b.")
    wrong = await listener.hear(says("-aa -b--"), "Ab b.")
    assert right.is_right
    assert not wrong.is_right
    assert wrong.doubt > right.doubt
    assert not model.tasks


async def test_some_words_are_judged_alone() -> None:
    listener, _ = house()
    sound = says("aa ab b")
    assert not (await listener.hear(sound, "ab ab b")).is_right
    assert (await listener.hear(sound, "ab ab b", (1, 3))).is_right


async def test_texts_beyond_the_alphabet_and_sounds_too_short_are_read() -> None:
    listener, model = house()
    assert (await listener.hear(says("-ab -b--"), "7 b")).text == "ab b"
    heard = await listener.hear(says("aba"), "ab b ab b ab b")
    assert (heard.text, heard.is_right) == ("ab b", False)
    assert heard.doubt == 4 / 6
    assert len(model.tasks) == 2


async def test_a_model_without_an_ear_is_asked_to_read() -> None:
    tokenizer, model = FakeTokenizer(), FakeLanguageModel(reading("English\tab b"))
    listener = Listener(tokenizer, Transcriber(tokenizer, model))
    assert await listener.hear(says("-aa -b--"), "ab b") == (await listener.hear(says("b"), "ab b"))


async def test_where_nobody_knows_the_words_nothing_is_wrong() -> None:
    listener, model = house()
    assert (await listener.hear(says("ab"), " ")).is_right
    assert not model.tasks
