"""Makes a golden folder from a checkpoint: synthetic recordings, recorded noise, this code's outputs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from uniaudio.errors import InvalidInputError
from uniaudio.llm.prompt import EDIT, TRANSCRIBE
from uniaudio.verify.golden import NewGolden
from uniaudio.verify.materials import Materials, write_wav
from uniaudio.verify.run import CHECKS

_RESAMPLED_RATE = 24000
# Frames of each recording: more than a window of 32 where a window may matter, and a rest everywhere.
_RECORDINGS = {"asr": (45.3, False), "prompt": (23.4, True), "edit": (26.2, True)}
_SAMPLINGS = ("cfg0.5", "cfg1.0", "cfg2.0", "cfg3.5", "steps5", "steps8", "steps16")
_LANGUAGE = "川渝"
_STRINGS = (
    "Hello world",
    " leading space",
    "it's 2025, isn't it?",
    "我们的愿景。",
    "a\n\nb \t c  d\r\n",
    "<role>HUMAN</role>x<|endoftext|>",
    "e\u0301 vs é",
    "😀 emoji",
)
_NORMALIZED = ("1928年11月，成立于武昌。", "温度是-5℃", "我有2个苹果", "Hello, world. It's 3.5 degrees!", "")


def record(
    directory: Path | str,
    out: Path | str | None = None,
    *,
    seed: int = 0,
    on_golden: Callable[[str], None] | None = None,
) -> Path:
    """Writes `golden/` and, where it is missing, `audio/`; returns the folder.

    Args:
        directory: a folder with `checkpoint/`, or a checkpoint itself (then `out` is needed).
        out: where to write, the checkpoint's copy included; None writes into `directory`.
        seed: of the recordings and of all noise.
        on_golden: called with each golden's name before it is made.

    Raises InvalidInputError if the folder holds goldens already: they are never overwritten.
    """
    directory = Path(directory)
    source = directory / "checkpoint" if (directory / "checkpoint").is_dir() else directory
    if out is None and source == directory:
        raise InvalidInputError(f"{directory} has no checkpoint/; name a folder to write goldens to")
    target = Path(out) if out is not None else directory
    goldens = target / "golden"
    if goldens.is_dir() and any(goldens.iterdir()):
        raise InvalidInputError(f"{goldens} is not empty; goldens are never overwritten: remove it first")
    goldens.mkdir(parents=True, exist_ok=True)
    if not (target / "checkpoint").is_dir():
        shutil.copytree(source, target / "checkpoint")
    materials = Materials(target)
    write_recordings(materials, seed)
    with torch.no_grad():
        for name, check in CHECKS.items():
            if on_golden is not None:
                on_golden(name)
            golden = blank_golden(name, seed)
            check(golden, materials)
            golden.save(goldens)
    return target


def write_recordings(materials: Materials, seed: int) -> None:
    """Synthetic recordings for those that are missing."""
    folder = materials.directory / "audio"
    folder.mkdir(exist_ok=True)
    hop_length = materials.tokenizer.hop_length
    for index, (name, (num_frames, is_resampled)) in enumerate(_RECORDINGS.items()):
        if not materials.has_audio(name):
            rate = _RESAMPLED_RATE if is_resampled else materials.model_rate
            num_samples = int(num_frames * hop_length * rate / materials.model_rate)
            write_wav(folder / f"{name}.wav", _hum(num_samples, rate, seed + index), rate)


def _hum(num_samples: int, rate: int, seed: int) -> NDArray[np.float32]:
    """A gliding voice-like tone with its harmonics, in two syllables, and some breath."""
    rng = np.random.default_rng(seed)
    time = np.arange(num_samples) / rate
    place = np.linspace(0, 1, num_samples)
    pitch = rng.uniform(90, 220) * (1 + 0.3 * np.sin(2 * np.pi * place))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    harmonics = sum(np.sin(k * phase + rng.uniform(0, 6)) / k for k in range(1, 12))
    loudness = 0.15 * np.abs(np.sin(2 * np.pi * place)) + 0.01
    breath = rng.standard_normal(num_samples)
    voice = harmonics * (1 + 0.3 * np.sin(2 * np.pi * 5 * time))
    return np.asarray(loudness * (voice + 0.2 * breath), np.float32)


def blank_golden(name: str, seed: int) -> NewGolden:
    """An empty golden with the cases, texts and settings to run."""
    cases: dict[str, tuple[str, ...]] = {
        "01_vae_encode": tuple(_RECORDINGS),
        "05_flow_head": tuple(f"sample.{setting}" for setting in _SAMPLINGS),
        "11_resample": tuple(f"noise_{rate}" for rate in (8000, 22050, 24000, 44100, 48000)),
    }
    documents: dict[str, Callable[[], Any]] = {
        "07_understanding": _understanding_cases,
        "08_tts": _speaking_cases,
        "09_edit": _editing_cases,
        "10_prompts": _prompt_cases,
        "12_text_normalization": lambda: [{"text": text} for text in _NORMALIZED],
    }
    make = documents.get(name)
    return NewGolden(name, cases.get(name, ()), make() if make else None, seed=seed)


def _understanding_cases() -> dict[str, Any]:
    common = {"instruction": TRANSCRIBE}
    return {
        "asr": {**common, "lang": None, "max_new_tokens": 14},
        "asr_lang": {**common, "lang": _LANGUAGE, "max_new_tokens": 8},
    }


def _speaking_cases() -> dict[str, Any]:
    common = {"cfg": 2, "steps": 10}
    return {
        "tts_zh": {"text": "构建未来服务", "prompt_text": "大家好。", "lang": "zh", **common},
        "tts_en": {"text": "hello brave world", "prompt_text": "Do not.", "lang": "en", **common},
    }


def _editing_cases() -> dict[str, Any]:
    insert = EDIT.format(instruction="insert '实现' before the character or word at index 3")
    denoise = EDIT.format(instruction="denoise the audio")
    common = {"cfg": 2, "steps": 10}
    return {
        "edit_cot": {"instruction": insert, "use_cot": True, **common},
        "edit_nocot": {"instruction": denoise, "use_cot": False, **common},
    }


def _prompt_cases() -> dict[str, Any]:
    audio = {"type": "audio", "audio": "asr.wav"}
    foreign = {"type": "audio", "audio": "edit.wav"}

    def said(role: str, *content: object) -> dict[str, Any]:
        items = [{"type": "text", "text": item} if isinstance(item, str) else item for item in content]
        return {"role": role, "content": items}

    turns = [
        said("HUMAN", "Transcribe this.", audio),
        said("ASSISTANT", "rain is coming"),
        said("HUMAN", "Say it again, in 12 words."),
    ]
    chats: list[tuple[list[dict[str, Any]], str | None]] = [
        ([said("HUMAN", TRANSCRIBE, audio)], None),
        ([said("HUMAN", TRANSCRIBE, audio)], f"{_LANGUAGE}\t"),
        ([said("HUMAN", {**foreign, "target_sample_rate": 16000}, "<prompt>x\n</prompt>")], "<answer>"),
        ([said("HUMAN", foreign, "Transcribe.")], None),
        ([said("HUMAN", "How are you? 你好。")], None),
        (turns, None),
    ]
    return {
        "chat": [{"messages": messages, "suffix": suffix} for messages, suffix in chats],
        "tts": [{"pieces": ["<role>HUMAN</role>", "Please", " go", "<role>ASSISTANT</role>"]}],
        "tokenizer": [{"text": text} for text in _STRINGS],
    }
