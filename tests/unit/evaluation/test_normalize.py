"""Texts as the published scorers see them."""

from __future__ import annotations

import pytest

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.normalize import (
    Language,
    language_code,
    normalize_context_asr,
    normalize_seed_tts,
    scorer_tokens,
    spoken_tokens,
)


def test_mandarin_is_compared_character_by_character() -> None:
    assert spoken_tokens("我 们", "zh") == spoken_tokens("我们", "zh") == ["我", "们"]
    assert spoken_tokens("用OK。", "zh") == ["用", "o", "k"]


def test_english_loses_punctuation_but_not_its_apostrophes() -> None:
    assert normalize_seed_tts("He's here; (really)!", "en") == "he's here really"
    assert normalize_seed_tts("It’s", "en") == "its", "a typographic one is Chinese punctuation to the scorer"


def test_double_spaces_are_halved_once() -> None:
    assert normalize_seed_tts("a    b", "en") == "a  b"
    assert spoken_tokens("a    b", "en") == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("It ended in disputes.", ["IT", "ENDED", "IN", "DISPUTES."]),
        ("wait ,now", ["WAIT", "NOW"]),
        ("我们，说OK吧。", ["我", "们", "说", "OK", "吧"]),
        ("a <noise> b", ["A", "B"]),
        ("café au", ["CAF", "É", "AU"]),
    ],
)
def test_tokens_of_the_edit_scorer(text: str, tokens: list[str]) -> None:
    assert scorer_tokens(text) == tokens


@pytest.mark.parametrize(
    ("text", "language", "normal"),
    [
        (
            "The U.S. Army's T-shirt, isn't it?  O' clock A M",
            "en",
            "the us army st shirt is not it o clock am",
        ),
        ("用GPT-4模型，他说“OK”。", "zh", "用 gpt 4模 型 他 说 ok"),
        ("D N A's test at N I H", "en", "dnas test at nih"),
        ("ALL IN CAPITALS", "zh", "all in capitals"),
    ],
)
def test_context_asr(text: str, language: Language, normal: str) -> None:
    assert normalize_context_asr(text, language) == normal


def test_languages() -> None:
    assert (language_code("English"), language_code("zh")) == ("en", "zh")
    with pytest.raises(InvalidInputError, match="klingon"):
        language_code("klingon")
