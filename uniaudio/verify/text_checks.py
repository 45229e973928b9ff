"""Goldens 10 to 12: prompts and text tokenizer, resampling, Chinese text normalisation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from uniaudio.audio.sinc import resample_sinc
from uniaudio.llm.prompt import AudioClip, Message, Role, chat_prompt, render_chat
from uniaudio.text.reference_chinese import normalize
from uniaudio.verify.golden import Golden, normal
from uniaudio.verify.materials import Materials
from uniaudio.verify.report import WAVEFORM


def check_prompts(golden: Golden, materials: Materials) -> None:
    """10: rendered conversations, speech prompts, the text tokenizer, special ids."""
    tokenizer = materials.model.text_tokenizer
    for index, _ in enumerate(golden.setting("chat") or ()):
        _check_chat(golden, materials, index)
    for index, _ in enumerate(golden.setting("tts") or ()):
        pieces = golden.setting("tts", index, "pieces")
        ids = [tokenizer.encode(piece) for piece in pieces]
        golden.check_value(("tts", index, "piece_ids"), ids)
        golden.check_value(("tts", index, "audio_start_id"), tokenizer.audio_id)
        golden.check_value(("tts", index, "audio_patch_id"), tokenizer.audio_patch_id)
    for index, _ in enumerate(golden.setting("tokenizer") or ()):
        encoded = tokenizer.encode(golden.setting("tokenizer", index, "text"))
        place = ("tokenizer", index)
        golden.check_value((*place, "ids"), encoded)
        golden.check_value((*place, "decoded"), tokenizer.decode(encoded))
        golden.check_value((*place, "decoded_skip_special"), tokenizer.decode(encoded, skip_special=True))
    ours = tokenizer.special_ids
    listed = golden.setting("special_ids") or ours
    golden.check_value(("special_ids",), {name: ours.get(name) for name in listed})


def _check_chat(golden: Golden, materials: Materials, index: int) -> None:
    speech, place = materials.model, ("chat", index)
    stored = golden.setting(*place, "messages")
    clips = [item for message in stored for item in message["content"] if item["type"] == "audio"]
    num_samples = _num_samples(materials, clips[0]) if clips else None
    golden.check_value((*place, "num_samples"), num_samples)
    clip = AudioClip(speech.patch_config.num_patches(num_samples or 0))
    messages = [_message(message, clip) for message in stored]
    golden.check_value((*place, "template"), render_chat(messages, "<AUDIO>"))
    suffix = golden.setting(*place, "suffix") or ""
    prompt = chat_prompt(speech.text_tokenizer, messages, suffix=suffix)
    golden.check_value((*place, "input_ids"), list(prompt.token_ids))
    golden.check_value((*place, "attention_mask"), [1] * len(prompt))
    golden.check_value((*place, "expanded"), render_chat(messages) + suffix)
    if prompt.audio_spans:
        spans = [[span.start, span.num_patches] for span in prompt.audio_spans]
        golden.check_value((*place, "audio_placeholder_loc_lens"), [spans])


def _message(stored: dict[str, Any], clip: AudioClip) -> Message:
    content = tuple(clip if item["type"] == "audio" else item["text"] for item in stored["content"])
    return Message(Role(stored["role"]), content)


def _num_samples(materials: Materials, item: dict[str, Any]) -> int:
    """Samples of a recording; without a rate the published code took the file's own as the model's."""
    name = str(item["audio"]).removesuffix(".wav")
    samples, rate = materials.native_audio(name)
    target = item.get("target_sample_rate")
    return len(samples if target is None else resample_sinc(samples, rate, int(target)))


def check_resampling(golden: Golden, materials: Materials) -> None:
    """11: windowed-sinc resampling of noise from several rates and of one recording."""
    for case in golden.cases("in"):
        source = int(case.rpartition("_")[2])
        noise = golden.given(f"{case}.in", normal(1, 301))
        target = materials.model_rate
        golden.check(f"{case}.out_{target}", _resampled(noise, source, target), WAVEFORM)
    if not materials.has_audio("prompt"):
        return
    samples, rate = materials.native_audio("prompt")
    name, target = f"prompt_{rate // 1000}k", materials.model_rate
    golden.check(name, torch.from_numpy(samples)[None], WAVEFORM)
    golden.check(f"prompt_{target // 1000}k", materials.audio("prompt")[None], WAVEFORM)


def _resampled(waveform: Tensor, source: int, target: int) -> Tensor:
    return torch.from_numpy(resample_sinc(waveform.numpy(), source, target))


def check_normalization(golden: Golden, materials: Materials) -> None:
    """12: the published Chinese text normaliser."""
    for index, _ in enumerate(golden.document() or ()):
        text = golden.setting(index, "text")
        golden.check_value((index, "normalized"), normalize(text))
