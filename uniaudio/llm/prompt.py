"""The prompts of understanding, speech and edits, exactly as published (model specification 6.2 to 6.5).

Callers' texts are refused if they hold special tokens; `chat_prompt` takes texts as they are, because
published content items hold some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum

from uniaudio.editing.mark import EditMark
from uniaudio.errors import InvalidInputError
from uniaudio.llm.text_tokenizer import TextTokenizer

TRANSCRIBE = "Please recognize the language of this speech and transcribe it. Format: oral."
CONTEXT = " This audio may contains the following words or phrases:"
SPEAK = "Please translate the text to speech.\n"
EDIT = "<prompt>Please recognize the language of this speech and transcribe it. And {instruction}.\n</prompt>"
HUMAN = "<role>HUMAN</role>"
ASSISTANT = "<role>ASSISTANT</role>"
ANSWER = "<answer>"


class Role(Enum):
    """Who says a message."""

    HUMAN = "HUMAN"
    ASSISTANT = "ASSISTANT"


@dataclass(frozen=True)
class AudioClip:
    """A recording's place in a message; `num_patches` positions will hold its embeddings."""

    num_patches: int


@dataclass(frozen=True)
class Message:
    """Content items in order: texts, and clips for recordings."""

    role: Role
    content: tuple[str | AudioClip, ...]


@dataclass(frozen=True)
class AudioSpan:
    """`num_patches` positions from `start` that take a clip's embeddings."""

    start: int
    num_patches: int


@dataclass(frozen=True)
class Prompt:
    """Token ids, the spans in them that audio embeddings overwrite, and whether these are for listening.

    `audio_router` sends the spans through the audio router; only understanding does (3.4).
    """

    token_ids: tuple[int, ...]
    audio_spans: tuple[AudioSpan, ...] = ()
    audio_router: bool = False

    def __len__(self) -> int:
        return len(self.token_ids)

    @property
    def num_audio_patches(self) -> int:
        """Positions of all spans together."""
        return sum(span.num_patches for span in self.audio_spans)


def understanding_prompt(
    tokenizer: TextTokenizer,
    num_patches: int,
    *,
    context_phrases: Sequence[str] = (),
    language: str = "",
) -> Prompt:
    """Transcription of one recording; a language, if given, is put into the model's mouth (6.3)."""
    phrases = ",".join(context_phrases)
    tokenizer.refuse_special(phrases, "context_phrases")
    tokenizer.refuse_special(language, "language")
    text = TRANSCRIBE + (CONTEXT + phrases if phrases else "")
    messages = (Message(Role.HUMAN, (text, AudioClip(num_patches))),)
    return chat_prompt(tokenizer, messages, suffix=f"{language}\t" if language else "", audio_router=True)


def edit_prompt(
    tokenizer: TextTokenizer,
    instruction: str,
    num_patches: int,
    *,
    reasoning: bool,
    mark: EditMark | None = None,
) -> Prompt:
    """An edit of one recording; with `reasoning` the model writes the edited text first (6.5).

    With a `mark` that text stands in the prompt, tokenised by itself as the model would have written it, and
    speech comes next. The instruction's own full stop goes, for the envelope brings one.
    """
    tokenizer.refuse_special(instruction, "instruction")
    text = EDIT.format(instruction=_without_full_stop(instruction))
    messages = (Message(Role.HUMAN, (AudioClip(num_patches), text)),)
    prompt = chat_prompt(tokenizer, messages, suffix=ANSWER if reasoning or mark else "")
    if mark is None:
        return prompt
    tokenizer.refuse_special(mark.before, "mark.before")
    tokenizer.refuse_special(mark.after, "mark.after")
    written = (*tokenizer.encode(mark.reasoning), tokenizer.gen_audio_id)
    return replace(prompt, token_ids=(*prompt.token_ids, *written))


def _without_full_stop(sentence: str) -> str:
    """Without spaces around, and without one full stop; an ellipsis is none."""
    sentence = sentence.strip()
    if not sentence.endswith((".", "。")) or sentence.endswith(("..", "。。")):
        return sentence
    return sentence[:-1].rstrip()


def speak_prompt(
    tokenizer: TextTokenizer, text: str, *, prompt_text: str = "", num_patches: int = 0
) -> Prompt:
    """Speech that continues a prompt recording of `num_patches`, or begins without one (6.4, 8.4).

    The pieces are tokenised one by one: joined, their borders could merge into other tokens.
    """
    tokenizer.refuse_special(text, "text")
    tokenizer.refuse_special(prompt_text, "prompt_text")
    if prompt_text and not num_patches:
        raise InvalidInputError(
            "prompt_text is given without prompt audio of at least one patch (100 ms); give both or neither",
            field="prompt_text",
            value="no prompt audio",
            limit="at least 100 ms of prompt audio",
            remedy="give both or neither",
        )
    spoken = (SPEAK + prompt_text, text) if num_patches else (SPEAK + text,)
    token_ids = [i for piece in (HUMAN, *spoken, ASSISTANT) for i in tokenizer.encode(piece)]
    token_ids.append(tokenizer.audio_id)
    spans = (AudioSpan(len(token_ids), num_patches),) if num_patches else ()
    return Prompt((*token_ids, *[tokenizer.audio_patch_id] * num_patches), spans)


def chat_prompt(
    tokenizer: TextTokenizer,
    messages: Sequence[Message],
    *,
    suffix: str = "",
    audio_router: bool = False,
    loose_clips: Sequence[AudioClip] = (),
) -> Prompt:
    """Any conversation: rendered and tokenised as one string, then the suffix, tokenised by itself.

    `loose_clips` have no place in a message; they follow everything, with a new line, as published.
    """
    clips = [item for message in messages for item in message.content if isinstance(item, AudioClip)]
    text = render_chat(messages) + "".join(expand_clip(clip) + "\n" for clip in loose_clips)
    token_ids = tokenizer.encode(text)
    spans = _locate_clips(tokenizer, token_ids, [*clips, *loose_clips])
    if suffix:
        token_ids += tokenizer.encode(suffix)
    return Prompt(tuple(token_ids), spans, audio_router)


def render_chat(messages: Sequence[Message], audio_mark: str | None = None) -> str:
    """The conversation as one string; clips are expanded, or shown as `audio_mark`."""
    parts = [HUMAN]
    for message in messages:
        body = "".join(
            item if isinstance(item, str) else audio_mark or expand_clip(item) for item in message.content
        )
        parts.append(body if message.role is Role.HUMAN else ASSISTANT + body + HUMAN)
    return "".join((*parts, ASSISTANT))


def expand_clip(clip: AudioClip) -> str:
    """The tokens that hold a clip's place."""
    return "<audio>" + "<audioPatch>" * clip.num_patches + "</audio>"


def _locate_clips(
    tokenizer: TextTokenizer, token_ids: Sequence[int], clips: Sequence[AudioClip]
) -> tuple[AudioSpan, ...]:
    starts = [index + 1 for index, token in enumerate(token_ids) if token == tokenizer.audio_id]
    if len(starts) != len(clips):
        raise InvalidInputError(
            f"the prompt has {len(starts)} <audio> tokens for {len(clips)} recordings; "
            "texts must not write that token themselves"
        )
    return tuple(AudioSpan(s, clip.num_patches) for s, clip in zip(starts, clips, strict=True))
