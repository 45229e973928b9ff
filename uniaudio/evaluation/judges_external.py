"""Recognisers of others, loaded from a local path by their own packages (evaluation 1.1, 1.6).

Nothing is fetched: a path that holds no model is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.limits import AudioLimits
from uniaudio.errors import CheckpointError
from uniaudio.evaluation.judges import ModelCard, hash_weights
from uniaudio.evaluation.normalize import Language
from uniaudio.evaluation.packages import need

_RATE = 16_000


class WhisperJudge:
    """`wer_whisper`: a Whisper folder as seed-tts-eval runs it: English forced, greedy, one 30 s window."""

    suffix = "whisper"
    languages: frozenset[Language] = frozenset({"en"})

    def __init__(self, folder: Path) -> None:
        transformers = need("transformers", "pip install transformers")
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is no folder: give one that holds a Whisper checkpoint")
        self._processor: Any = transformers.WhisperProcessor.from_pretrained(folder, local_files_only=True)
        self._model: Any = transformers.WhisperForConditionalGeneration.from_pretrained(
            folder, local_files_only=True
        ).eval()
        digest = hash_weights(folder)
        self.card = ModelCard(
            role="recogniser",
            metric="wer_whisper",
            name=f"Whisper ({folder.name})",
            revision=digest[:12],
            weights_sha256=digest,
        )

    def hear(self, path: Path, language: Language) -> str:
        """What the first 30 s say, as Whisper writes it."""
        import torch

        waveform = _read_for_whisper(path)
        features = self._processor(waveform, sampling_rate=_RATE, return_tensors="pt").input_features
        prompt = self._processor.get_decoder_prompt_ids(language="english", task="transcribe")
        with torch.inference_mode():
            tokens = self._model.generate(features, forced_decoder_ids=prompt)
        text: str = self._processor.batch_decode(tokens, skip_special_tokens=True)[0]
        return text


def _read_for_whisper(path: Path) -> NDArray[np.float64]:
    """As the published script reads: another rate is resampled by FFT."""
    import soundfile

    AudioLimits().check_encoded_bytes(path.stat().st_size)
    waveform, rate = soundfile.read(path, always_2d=True)
    waveform = waveform[:, 0]
    if rate != _RATE:
        waveform = need("scipy.signal").resample(waveform, int(len(waveform) * _RATE / rate))
    return np.asarray(waveform, np.float64)


class ParaformerJudge:
    """`wer_paraformer`: Paraformer-zh of FunASR, its text in simplified characters."""

    suffix = "paraformer"
    languages: frozenset[Language] = frozenset({"zh"})

    def __init__(self, folder: Path) -> None:
        funasr = need("funasr", "pip install funasr")
        self._simplify = need("zhconv", "pip install zhconv (GPL-2, optional)").convert
        if not folder.is_dir():
            raise CheckpointError(f"{folder} is no folder: give one that holds Paraformer-zh")
        self._model: Any = funasr.AutoModel(model=str(folder), disable_update=True)
        digest = hash_weights(folder)
        self.card = ModelCard(
            role="recogniser",
            metric="wer_paraformer",
            name=f"Paraformer ({folder.name})",
            revision=digest[:12],
            weights_sha256=digest,
        )

    def hear(self, path: Path, language: Language) -> str:
        """What the recording says, without punctuation."""
        answer = self._model.generate(input=str(path), batch_size_s=300)
        text: str = self._simplify(answer[0]["text"], "zh-cn")
        return text
