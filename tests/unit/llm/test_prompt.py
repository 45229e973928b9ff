"""Prompts: exact strings, spans where the audio goes, texts that must not steer them."""

from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from uniaudio.editing.mark import EditMark
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.llm.prompt import (
    AudioClip,
    AudioSpan,
    Message,
    Prompt,
    Role,
    chat_prompt,
    edit_prompt,
    speak_prompt,
    understanding_prompt,
)
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.random_vocabulary import train_text_tokenizer

TRANSCRIBE = "Please recognize the language of this speech and transcribe it."


@pytest.fixture(scope="module")
def tokenizer() -> TextTokenizer:
    return TextTokenizer(train_text_tokenizer())


def text_of(tokenizer: TextTokenizer, prompt: Prompt) -> str:
    return tokenizer.decode(prompt.token_ids)


def placed(tokenizer: TextTokenizer, prompt: Prompt) -> list[bool]:
    """Whether each span covers exactly the patch tokens."""
    patch = tokenizer.audio_patch_id
    covered = {i for s in prompt.audio_spans for i in range(s.start, s.start + s.num_patches)}
    return [(index in covered) == (token == patch) for index, token in enumerate(prompt.token_ids)]


def test_understanding(tokenizer: TextTokenizer) -> None:
    prompt = understanding_prompt(tokenizer, 3)
    audio = "<audio>" + "<audioPatch>" * 3 + "</audio>"
    expected = f"<role>HUMAN</role>{TRANSCRIBE} Format: oral.{audio}<role>ASSISTANT</role>"
    assert text_of(tokenizer, prompt) == expected
    assert list(prompt.token_ids) == tokenizer.encode(expected)
    assert prompt.audio_router
    assert all(placed(tokenizer, prompt))
    assert prompt.num_audio_patches == 3


def test_understanding_with_context_and_language(tokenizer: TextTokenizer) -> None:
    prompt = understanding_prompt(tokenizer, 1, context_phrases=("Chengdu", "a b"), language="川渝")
    text = text_of(tokenizer, prompt)
    assert "oral. This audio may contains the following words or phrases:Chengdu,a b<audio>" in text
    suffix = tokenizer.encode("川渝\t")
    assert list(prompt.token_ids[-len(suffix) :]) == suffix
    assert text.endswith("<role>ASSISTANT</role>川渝\t")


@pytest.mark.parametrize(
    ("reasoning", "end"), [(True, "<role>ASSISTANT</role><answer>"), (False, "<role>ASSISTANT</role>")]
)
def test_edit(tokenizer: TextTokenizer, reasoning: bool, end: str) -> None:
    prompt = edit_prompt(tokenizer, "denoise the audio", 2, reasoning=reasoning)
    audio = "<audio><audioPatch><audioPatch></audio>"
    body = f"<prompt>{TRANSCRIBE} And denoise the audio.\n</prompt>"
    assert text_of(tokenizer, prompt) == f"<role>HUMAN</role>{audio}{body}{end}"
    assert not prompt.audio_router
    assert all(placed(tokenizer, prompt))


def test_an_edit_by_a_mark_is_ready_to_be_spoken(tokenizer: TextTokenizer) -> None:
    mark = EditMark(before="the old ", after=" dog", adds_speech=True)
    prompt = edit_prompt(tokenizer, "insert 'big' before 'dog'", 2, reasoning=True, mark=mark)
    written = "<cot_text>the old <edit><framePatch></edit> dog</cot_text>"
    asked = edit_prompt(tokenizer, "insert 'big' before 'dog'", 2, reasoning=True)
    assert prompt.audio_spans == asked.audio_spans
    assert prompt.token_ids == (*asked.token_ids, *tokenizer.encode(written), tokenizer.gen_audio_id)


@pytest.mark.parametrize(
    ("instruction", "read"),
    [
        ("Clean up the noise.", "Clean up the noise"),
        (" Clean up the noise . ", "Clean up the noise"),
        ("去除噪声。", "去除噪声"),
        ("insert 'Mr.' at the end", "insert 'Mr.' at the end"),
        ("say it again...", "say it again..."),
        ("why?", "why?"),
    ],
)
def test_the_envelope_brings_the_only_full_stop(
    tokenizer: TextTokenizer, instruction: str, read: str
) -> None:
    prompt = edit_prompt(tokenizer, instruction, 1, reasoning=False)
    assert f"transcribe it. And {read}.\n</prompt>" in text_of(tokenizer, prompt)
    assert prompt == edit_prompt(tokenizer, read, 1, reasoning=False)


def test_speech_is_four_pieces_even_where_joining_would_merge(tokenizer: TextTokenizer) -> None:
    """The two texts, joined, tokenise differently than one by one."""
    prompt_text, text = "say the tr", "ain left"
    prompt = speak_prompt(tokenizer, text, prompt_text=prompt_text, num_patches=2)
    pieces = (
        "<role>HUMAN</role>",
        f"Please translate the text to speech.\n{prompt_text}",
        text,
        "<role>ASSISTANT</role>",
    )
    apart = [token for piece in pieces for token in tokenizer.encode(piece)]
    audio = [tokenizer.audio_id, tokenizer.audio_patch_id, tokenizer.audio_patch_id]
    assert list(prompt.token_ids) == apart + audio
    assert apart != tokenizer.encode("".join(pieces))
    assert prompt.audio_spans == (AudioSpan(len(apart) + 1, 2),)
    assert not prompt.audio_router


def test_speech_without_a_voice_begins_afresh(tokenizer: TextTokenizer) -> None:
    prompt = speak_prompt(tokenizer, "Hi")
    assert text_of(tokenizer, prompt) == (
        "<role>HUMAN</role>Please translate the text to speech.\nHi<role>ASSISTANT</role><audio>"
    )
    assert prompt.audio_spans == ()


def test_a_transcript_without_its_recording_is_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(InvalidInputError, match="without prompt audio"):
        speak_prompt(tokenizer, "Hi", prompt_text="Hello.")


def test_several_recordings_have_their_own_lengths(tokenizer: TextTokenizer) -> None:
    messages = [
        Message(Role.HUMAN, ("Compare", AudioClip(2), " with ", AudioClip(4), AudioClip(0))),
        Message(Role.ASSISTANT, ("well",)),
        Message(Role.HUMAN, (AudioClip(1), "?")),
    ]
    prompt = chat_prompt(tokenizer, messages)
    assert [span.num_patches for span in prompt.audio_spans] == [2, 4, 0, 1]
    assert all(placed(tokenizer, prompt))
    assert "<role>ASSISTANT</role>well<role>HUMAN</role><audio>" in text_of(tokenizer, prompt)


def test_text_alone_needs_no_recording(tokenizer: TextTokenizer) -> None:
    prompt = chat_prompt(tokenizer, [Message(Role.HUMAN, ("Hello",))])
    assert text_of(tokenizer, prompt) == "<role>HUMAN</role>Hello<role>ASSISTANT</role>"
    assert prompt.audio_spans == ()


def test_recordings_without_a_place_come_last_with_a_new_line(tokenizer: TextTokenizer) -> None:
    prompt = chat_prompt(tokenizer, [Message(Role.HUMAN, ("Hello",))], loose_clips=[AudioClip(1)])
    assert text_of(tokenizer, prompt).endswith("<role>ASSISTANT</role><audio><audioPatch></audio>\n")
    assert all(placed(tokenizer, prompt))


def test_texts_that_hold_special_tokens_are_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(InvalidInputError, match="instruction holds '</prompt>'"):
        edit_prompt(tokenizer, "x</prompt>y", 1, reasoning=True)
    for mark in (
        EditMark(before="<audio>", after="", adds_speech=False),
        EditMark(before="", after="</cot_text>", adds_speech=False),
    ):
        with pytest.raises(InvalidInputError, match=r"mark\.\w+ holds"):
            edit_prompt(tokenizer, "x", 1, reasoning=True, mark=mark)
    with pytest.raises(InvalidInputError, match="text holds '<audio>'"):
        speak_prompt(tokenizer, "say <audio>")
    with pytest.raises(InvalidInputError, match="prompt_text holds"):
        speak_prompt(tokenizer, "hi", prompt_text="<role>", num_patches=1)
    with pytest.raises(InvalidInputError, match="context_phrases holds"):
        understanding_prompt(tokenizer, 1, context_phrases=("a", "<|endoftext|>"))
    with pytest.raises(InvalidInputError, match="language holds"):
        understanding_prompt(tokenizer, 1, language="<answer>")
    with pytest.raises(InvalidInputError, match="2 <audio> tokens for 1 recordings"):
        chat_prompt(tokenizer, [Message(Role.HUMAN, ("<audio>", AudioClip(1)))])


def test_text_tokenizer_decodes_with_and_without_special_tokens(tokenizer: TextTokenizer) -> None:
    ids = tokenizer.encode("<role>HUMAN</role>é x<|endoftext|>")
    assert tokenizer.decode(ids) == "<role>HUMAN</role>é x<|endoftext|>"
    assert tokenizer.decode(ids, skip_special=True) == "HUMANé x"
    assert ids[-1] == tokenizer.end_id
    assert tokenizer.num_ids == max(tokenizer.special_ids.values()) + 1


def test_a_tokenizer_without_the_needed_tokens_is_refused() -> None:
    from tokenizers import models

    with pytest.raises(CheckpointError, match="no special token"):
        TextTokenizer(Tokenizer(models.BPE()))
