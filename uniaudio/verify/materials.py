"""What the checks work with: the models of a golden folder and its recordings, loaded when needed."""

from __future__ import annotations

import struct
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniaudio.audio.sinc import resample_sinc
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.errors import InvalidAudioError
from uniaudio.nn.held_experts import ExpertShare
from uniaudio.nn.native.packed import Precision
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.packed import pack_tokenizer


class Materials:
    """A golden folder's `checkpoint/` and `audio/`; float32 on the processor."""

    def __init__(
        self,
        directory: Path,
        *,
        window_keys: int | None = None,
        use_kernels: bool = False,
        share: ExpertShare | None = None,
    ) -> None:
        """`window_keys` as in `AudioTokenizer`; `use_kernels` and `share` as in `verify`."""
        self.directory = directory
        self.share = share
        self.use_kernels = use_kernels
        self.window_keys = window_keys
        self.latents: dict[str, Tensor] = {}

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The folder's checkpoint."""
        return Checkpoint(self.directory / "checkpoint")

    @cached_property
    def tokenizer(self) -> AudioTokenizer:
        """The audio tokenizer, all parts."""
        tokenizer = AudioTokenizer.from_checkpoint(self.checkpoint, window_keys=self.window_keys)
        if self.use_kernels:
            pack_tokenizer(tokenizer, Precision.FLOAT32)
        return tokenizer

    @cached_property
    def model(self) -> SpeechModel:
        """Language model and what is around it."""
        return SpeechModel.from_checkpoint(self.checkpoint, share=self.share)

    @cached_property
    def stepping_model(self) -> AnySpeechModel:
        """What whole procedures run on."""
        return PackedSpeechModel.pack(self.model) if self.use_kernels else self.model

    def has_audio(self, name: str) -> bool:
        """Whether `audio/NAME.wav` is there."""
        return (self.directory / "audio" / f"{name}.wav").is_file()

    def audio(self, name: str) -> Tensor:
        """`audio/NAME.wav` at the model's rate, `(num_samples,)`."""
        samples, rate = self.native_audio(name)
        return torch.from_numpy(resample_sinc(samples, rate, self.model_rate))

    def native_audio(self, name: str) -> tuple[NDArray[np.float32], int]:
        """First channel of `audio/NAME.wav`, float32, and its rate."""
        return read_wav(self.directory / "audio" / f"{name}.wav")

    @property
    def model_rate(self) -> int:
        """Samples per second that the model hears."""
        return self.tokenizer.sample_rate

    @torch.no_grad()
    def encode(self, waveform: Tensor, noise: Tensor) -> Tensor:
        """Latents `(T, C)` of samples `(num_samples,)` for a draw `(1, C, T)`, channels first as recorded."""
        return self.tokenizer.encode(waveform[None]).sample(noise.transpose(1, 2))[0]

    def num_frames(self, waveform: Tensor) -> int:
        """Frames of samples `(..., num_samples)`."""
        return self.tokenizer.num_frames(waveform.shape[-1])


def read_wav(path: Path) -> tuple[NDArray[np.float32], int]:
    """First channel, float32 in [-1, 1], and sample rate of a WAV file with 16-bit or float samples.

    Goldens are checked where no audio library is installed, hence this reader.
    """
    data = path.read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise InvalidAudioError(f"{path} is not a WAV file")
    kind = num_channels = rate = bits = 0
    position = 12
    while position + 8 <= len(data):
        name, size = data[position : position + 4], struct.unpack_from("<I", data, position + 4)[0]
        body = data[position + 8 : position + 8 + size]
        if name == b"fmt ":
            kind, num_channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", body)
            if kind == 0xFFFE:  # extensible: the real kind opens the sub-format
                kind = struct.unpack_from("<H", body, 24)[0]
        if name == b"data":
            return _samples(body, kind, bits, path).reshape(-1, num_channels)[:, 0].copy(), rate
        position += 8 + size + size % 2
    raise InvalidAudioError(f"{path} has no samples")


def _samples(body: bytes, kind: int, bits: int, path: Path) -> NDArray[np.float32]:
    if (kind, bits) == (1, 16):
        return np.frombuffer(body, "<i2").astype(np.float32) / 32768
    if (kind, bits) == (3, 32):
        return np.frombuffer(body, "<f4").astype(np.float32)
    raise InvalidAudioError(f"{path} has samples of kind {kind} with {bits} bits; use 16-bit or float WAV")


def write_wav(path: Path, samples: NDArray[np.float32], rate: int) -> None:
    """Writes float32 samples `(num_samples,)` as 16-bit mono."""
    body = (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(body)) + body
    path.write_bytes(b"RIFF" + struct.pack("<I", len(chunks)) + chunks)
