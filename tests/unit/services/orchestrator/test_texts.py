"""Texts become sentences as they are spoken, by the text's own language."""

from __future__ import annotations

from services.orchestrator.domain import Normalization
from services.orchestrator.texts import prepare_sentences


def test_sentences_are_split_and_normalised() -> None:
    sentences = prepare_sentences("I have 3 apples. Don't panic! ... 我有2个苹果。", Normalization.AUTO, 150)
    assert len(sentences) == 3
    assert "three apples" in sentences[0]
    assert "Don't" in sentences[1]
    assert "两个" in sentences[2]


def test_normalisation_can_be_left_out() -> None:
    assert prepare_sentences("I have 3 apples.", Normalization.NONE, 150) == ["I have 3 apples."]


def test_the_published_chinese_rules_are_there_on_request() -> None:
    assert prepare_sentences("I have 3 apples.", Normalization.REFERENCE_CHINESE, 150) == ["I have 三 apples"]


def test_long_texts_come_in_bounded_parts() -> None:
    sentences = prepare_sentences("word " * 200, Normalization.AUTO, 150)
    assert max(map(len, sentences)) <= 150


def test_nothing_to_say_is_nothing() -> None:
    assert prepare_sentences("?! ...", Normalization.AUTO, 150) == []
