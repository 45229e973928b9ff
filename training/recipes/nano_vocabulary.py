"""nano's text tokenizer: bytes, so that any word can be spelled, and the fixed phrases of prompts whole.

A small model's time goes by the position, and the published prompts are long: each phrase that prompts
always hold is one token here. It is a `tokenizer.json` like the released one.
"""

from __future__ import annotations

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers

from uniaudio.llm.prompt import CONTEXT, EDIT, SPEAK, TRANSCRIBE
from uniaudio.random_vocabulary import SPECIAL_TOKENS

_EDIT_OPENING = EDIT.split("{instruction}")[0].removeprefix("<prompt>")
PHRASES = (
    *(TRANSCRIBE, CONTEXT, SPEAK, _EDIT_OPENING, "HUMAN", "ASSISTANT", "English\t"),
    *("insert '", "' before the character or word at index ", "' after the character or word at index "),
    *(
        "' before the character or word '",
        "' after the character or word '",
        "' at the beginning",
        "' at the end",
    ),
    *("delete '", "delete the characters or words from index ", " to index "),
    *("substitute '", "substitute the characters or words from index ", "' with '", " with '"),
    *("denoise the audio", "adjusts the speed to ", "shifts the pitch by ", "adjusts the volume to "),
    *("change the emotion to ", "change the accent of the speech to "),
)


def nano_text_tokenizer() -> Tokenizer:
    """The tokenizer; the same one every time."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={byte: i for i, byte in enumerate(alphabet)}, merges=[]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    tokenizer.add_tokens([AddedToken(phrase, special=False, normalized=False) for phrase in PHRASES])
    return tokenizer
