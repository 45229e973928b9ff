"""Waveforms and latents as the tokenizer service takes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from uniaudio.audio.formats import AudioEncoding
from uniaudio.client.audio import AudioSource, audio_message
from uniaudio.errors import InvalidInputError
from uniaudio.v1 import audio_pb2, tokenizer_pb2

Latents: TypeAlias = NDArray[np.float32]
"""`(num_frames, latent_dim)`, 50 frames a second."""


class Letters(NamedTuple):
    """How likely each frame speaks each letter: logarithms `(num_frames, 1 + len(alphabet))`, of no letter first."""

    log_probabilities: NDArray[np.float32]
    alphabet: str


# The contract's limits on one message (tokenizer.proto); more goes as a stream of pieces.
MAX_UNARY_SAMPLES = 9_600_000
MAX_UNARY_FRAMES = 30_000
_PIECE_SAMPLES = 480_000
_PIECE_FRAMES = 1_500

_ENCODINGS = {
    audio_pb2.AUDIO_ENCODING_UNSPECIFIED: AudioEncoding.AUTO,
    audio_pb2.AUDIO_ENCODING_PCM_S16LE: AudioEncoding.PCM_S16LE,
    audio_pb2.AUDIO_ENCODING_PCM_F32LE: AudioEncoding.PCM_F32LE,
    audio_pb2.AUDIO_ENCODING_WAV: AudioEncoding.WAV,
    audio_pb2.AUDIO_ENCODING_FLAC: AudioEncoding.FLAC,
    audio_pb2.AUDIO_ENCODING_OGG: AudioEncoding.OGG,
    audio_pb2.AUDIO_ENCODING_MP3: AudioEncoding.MP3,
    audio_pb2.AUDIO_ENCODING_OPUS: AudioEncoding.OPUS,
}


def model_waveform(audio: AudioSource, sample_rate: int | None) -> NDArray[np.float32]:
    """The recording as the tokenizer wants it: mono, 16 kHz, float32 `(num_samples,)`.

    Errors: those of `audio_message`, InvalidAudioError for what cannot be read.
    """
    # Brings libraries for sound files along, which nothing else here needs.
    from uniaudio.audio.files import decode_audio

    message = audio_message(audio, sample_rate)
    return decode_audio(
        message.content,
        encoding=_ENCODINGS[message.format.encoding],
        sample_rate=message.format.sample_rate,
        num_channels=message.format.num_channels,
    )


def encode_options(*, sample: bool, seed: int) -> tokenizer_pb2.EncodeOptions:
    """The posterior's mean, or a sample of it."""
    posterior = tokenizer_pb2.POSTERIOR_MODE_SAMPLE if sample else tokenizer_pb2.POSTERIOR_MODE_MEAN
    return tokenizer_pb2.EncodeOptions(posterior=posterior, seed=seed)


def letters_from(answer: tokenizer_pb2.SpellResponse) -> Letters:
    """What was heard in latents."""
    return Letters(latents_from(answer.log_probabilities, answer.num_frames), answer.alphabet)


def encode_pieces(
    waveform: NDArray[np.float32], options: tokenizer_pb2.EncodeOptions
) -> Iterator[tokenizer_pb2.StreamEncodeRequest]:
    """The messages of a recording too long for one."""
    for start in range(0, len(waveform), _PIECE_SAMPLES):
        piece = waveform[start : start + _PIECE_SAMPLES]
        yield tokenizer_pb2.StreamEncodeRequest(
            waveform=piece.astype("<f4").tobytes(),
            options=options if start == 0 else None,
            last=start + _PIECE_SAMPLES >= len(waveform),
        )


def decode_pieces(latents: Latents) -> Iterator[tokenizer_pb2.StreamDecodeRequest]:
    """The messages of latents too many for one."""
    for start in range(0, len(latents), _PIECE_FRAMES):
        yield tokenizer_pb2.StreamDecodeRequest(
            latents=latents[start : start + _PIECE_FRAMES].astype("<f4").tobytes(),
            last=start + _PIECE_FRAMES >= len(latents),
        )


def latents_from(content: bytes, num_frames: int) -> Latents:
    """Latents `(num_frames, latent_dim)` from an answer's bytes."""
    values = np.frombuffer(content, dtype="<f4").astype(np.float32, copy=False)
    return values.reshape(num_frames, -1) if num_frames else values.reshape(0, 0)


def checked_latents(latents: NDArray[np.generic]) -> Latents:
    """Latents ready to send; InvalidInputError unless finite numbers `(num_frames, latent_dim)`."""
    if latents.ndim != 2 or latents.size == 0 or not np.issubdtype(latents.dtype, np.floating):
        raise InvalidInputError(
            f"latents are floats of shape (num_frames, latent_dim), not {latents.dtype} of shape {latents.shape}; "
            "decode what `encode` wrote",
            value=latents.shape,
            limit="(num_frames, latent_dim)",
            remedy="decode what `encode` wrote",
        )
    if not np.isfinite(latents).all():
        raise InvalidInputError(
            "the latents hold NaN or infinity; decode what `encode` wrote",
            value="not finite",
            limit="finite numbers",
            remedy="decode what `encode` wrote",
        )
    return latents.astype(np.float32, copy=False)
