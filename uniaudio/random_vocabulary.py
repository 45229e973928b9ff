"""A small byte-level BPE for the random model: the released pipeline, trained on the lines below."""

from __future__ import annotations

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from tokenizers.trainers import BpeTrainer

_NUM_TEXT_TOKENS = 512
_NUM_RESERVED_TOKENS = 4
_SPLIT_PATTERN = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*"
    r"|\s*[\r\n]|\s+(?!\S)|\s+"
)

# In the released order; the ids follow from the size of the text vocabulary.
SPECIAL_TOKENS = (
    *("<|startoftext|>", "<|endoftext|>", "[CLS]", "[gMASK]"),
    *(f"<|reserved_token_{number}|>" for number in range(_NUM_RESERVED_TOKENS)),
    *("<role>", "</role>"),
    *("<|arithmetic_start|>", "<|arithmetic_end|>", "<|number_start|>", "<|number_end|>"),
    *("<imagePatch>", "<image>", "</image>", "<video>", "</video>"),
    *("<gen_imagePatch>", "<gen_image>", "</gen_image>", "<imageHere>"),
    *("<end_of_chunk>", "<end_of_audio>"),
    *("<audioPatch>", "<audio>", "</audio>"),
    *("<gen_audioPatch>", "<gen_audio>", "</gen_audio>", "<audioHere>"),
    "<framePatch>",
    *("<text>", "<asr>", "<tts>"),
    *("<edit>", "</edit>", "<prompt>", "</prompt>", "<answer>", "<cot_text>", "</cot_text>"),
)

_TRAINING_TEXT = """
HUMAN ASSISTANT SYSTEM English Chinese
Please recognize the language of this speech and transcribe it. Format: oral.
This audio may contains the following words or phrases: And
Please translate the text to speech.
insert the word before the character or word at index after the character or word at the beginning at the end
delete the characters or words from index to index, substitute the characters or words with
denoise the audio, adjusts the speed to, shifts the pitch by steps, adjusts the volume to
add rain to audio, change the emotion to happy mood, change the accent of the speech to Chengdu
the quick morning train left the station while people were reading the news and drinking their coffee
she said that nothing in this house would ever be as quiet as the first day of the long winter
he asked whether anyone could hear the birds outside or only the wind moving through the open door
we are here to listen, to speak and to write down what was said as exactly as we can
今天天气很好，我们一起去公园散步吧。
请识别这段语音的语言，并把它转写成文字。
他说明天早上八点开会，大家不要迟到。
我们的工作是听清楚每一句话，然后把它说得更好。
在这个城市里，人们每天都在说话，也在听别人说话。
现在是不是应该把声音调大一点，速度放慢一点？
"""


def train_text_tokenizer() -> Tokenizer:
    """The tokenizer with its special tokens added; the same one every time."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=_NUM_TEXT_TOKENS,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TRAINING_TEXT.strip().splitlines(), trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS])
    return tokenizer
