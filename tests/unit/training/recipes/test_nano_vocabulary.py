"""nano's tokenizer spells any text and takes the fixed phrases of prompts whole."""

import pytest

from training.recipes.nano_vocabulary import PHRASES, nano_text_tokenizer
from uniaudio.llm.prompt import edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.text_tokenizer import TextTokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return TextTokenizer(nano_text_tokenizer())


@pytest.mark.parametrize("text", ["the old farmer", "café 今天", "it's 3 o'clock\n", "English\tthe"])
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_phrases_are_one_token_and_letters_one_each(tokenizer):
    assert all(len(tokenizer.encode(phrase)) == 1 for phrase in PHRASES)
    assert len(tokenizer.encode("cat")) == 3


def test_prompts_are_short(tokenizer):
    assert len(understanding_prompt(tokenizer, 0)) <= 10
    assert len(speak_prompt(tokenizer, "hi")) <= 12
    assert len(edit_prompt(tokenizer, "delete 'red'", 0, reasoning=True)) <= 20


def test_a_phrase_is_no_command(tokenizer):
    tokenizer.refuse_special(PHRASES[0], "text")
