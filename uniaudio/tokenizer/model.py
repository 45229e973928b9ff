"""The continuous audio tokenizer: waveform to latents and back, and latents to unified embeddings."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from uniaudio.audio import framing
from uniaudio.checkpoint import Checkpoint, load_parameters, read_json, refuse_unknown_keys
from uniaudio.errors import InvalidAudioError, InvalidInputError, LimitExceededError
from uniaudio.tokenizer.backbone import Backbone
from uniaudio.tokenizer.config import TokenizerConfig
from uniaudio.tokenizer.decoder import Decoder, DecoderState
from uniaudio.tokenizer.encoder import Encoder, EncoderState
from uniaudio.tokenizer.posterior import Posterior
from uniaudio.tokenizer.semantic import SemanticModule
from uniaudio.tokenizer.state_dict_adapter import PARTS, is_unused, key_prefix, published_key

Part = TypeVar("Part", bound=nn.Module)
ALL_PARTS = ("encoder", "decoder", "semantic")
# Longer input is worked off in blocks of this size, as a stream: the same numbers, less memory.
_BLOCK_FRAMES = 4096
# Ten minutes at 50 frames a second. Only for backbones without a window, whose cache never stops growing.
_UNBOUNDED_STREAM_FRAMES = 30_000


class AudioTokenizer(nn.Module):
    """The three models that share one latent space; each is there only if it was asked for.

    Nothing is remembered between calls: streams keep their state in objects that the caller holds,
    so one tokenizer serves any number of streams and threads.
    """

    def __init__(
        self,
        config: TokenizerConfig,
        *,
        parts: Collection[str] = ALL_PARTS,
        window_keys: int | None = None,
    ) -> None:
        """`window_keys` chooses how a windowed backbone is read; see `BackboneConfig.windows`."""
        super().__init__()
        if not parts or not set(parts) <= set(ALL_PARTS):
            raise ValueError(f"parts {tuple(parts)!r} must be among {ALL_PARTS}")
        self.config = config
        self._encoder = Encoder(config, window_keys) if "encoder" in parts else None
        self._decoder: Decoder | None = None
        self._semantic: SemanticModule | None = None
        projection = nn.Linear(config.latent_dim, config.decoder.hidden_size)
        if "decoder" in parts:
            self._decoder = Decoder(config, projection, window_keys)
        if "semantic" in parts:
            self._semantic = SemanticModule(
                projection, config.unified_dim, config.num_semantic_layers, config.num_semantic_heads
            )

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        parts: Collection[str] = ALL_PARTS,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        window_keys: int | None = None,
    ) -> AudioTokenizer:
        """The tokenizer of a whole model or a standalone one, frozen, ready for inference.

        Only the parts asked for are read. The waveform head stays float32 for every dtype. Raises
        CheckpointError with the exact key and both shapes if config and weights disagree.
        """
        preprocessor = checkpoint.directory / "preprocessor_config.json"
        config = TokenizerConfig.from_config(
            checkpoint.config, read_json(preprocessor) if preprocessor.exists() else None
        )
        with torch.device("meta"):
            tokenizer = cls(config, parts=parts, window_keys=window_keys)
            whole = cls(config, window_keys=window_keys)
        prefix = key_prefix(checkpoint)
        described = {prefix + _key_of(name) for name in whole.state_dict()}
        for part in PARTS:
            refuse_unknown_keys(
                checkpoint, described, lambda key: is_unused(key.removeprefix(prefix)), prefix + part
            )
        load_parameters(
            tokenizer,
            checkpoint,
            lambda name: prefix + _key_of(name),
            dtype=lambda name: torch.float32 if ".head." in name else dtype,
            device=device,
        )
        return tokenizer.requires_grad_(False).eval()

    @property
    def sample_rate(self) -> int:
        """Samples per second of every waveform that goes in or comes out."""
        return self.config.sample_rate

    @property
    def hop_length(self) -> int:
        """Samples per frame."""
        return self.config.hop_length

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def latent_dim(self) -> int:
        """Width of a latent."""
        return self.config.latent_dim

    @property
    def unified_dim(self) -> int:
        """Width of a unified embedding."""
        return self.config.unified_dim

    def has_part(self, name: str) -> bool:
        """Whether the encoder, decoder or semantic module was loaded."""
        return getattr(self, f"_{name}") is not None

    @property
    def encoder(self) -> Encoder:
        """Waveform to posterior."""
        return _require(self._encoder, "encoder")

    @property
    def decoder(self) -> Decoder:
        """Latents to waveform."""
        return _require(self._decoder, "decoder")

    @property
    def semantic(self) -> SemanticModule:
        """Latents to unified embeddings."""
        return _require(self._semantic, "semantic")

    @property
    def max_encode_stream_frames(self) -> int | None:
        """Longest stream to encode; None is endless, in bounded memory."""
        return _stream_limit(self.encoder.backbone)

    @property
    def max_decode_stream_frames(self) -> int | None:
        """Longest stream to decode; None is endless, in bounded memory."""
        return _stream_limit(self.decoder.backbone)

    def num_frames(self, num_samples: int) -> int:
        """Frames of a waveform: the last one may be partly padding."""
        return framing.num_frames(num_samples, self.hop_length)

    def encode(self, waveform: Tensor) -> Posterior:
        """Posterior `(B, T, latent_dim)` of whole waveforms `(B, num_samples)`.

        A shorter item padded with zeros has the same first frames as it has alone.
        """
        if waveform.ndim != 2 or waveform.shape[1] == 0:
            raise InvalidAudioError(
                f"a waveform of shape {tuple(waveform.shape)} cannot be encoded; give (B, num_samples) with "
                "at least one sample"
            )
        frames = self.encoder.cut(waveform)
        num_items, num_frames, _ = frames.shape
        if num_frames <= _BLOCK_FRAMES:
            parameters = self.encoder(frames.flatten(0, 1), [num_frames] * num_items)
            return Posterior.from_parameters(parameters.unflatten(0, (num_items, num_frames)))
        caches = [self.encoder.backbone.new_cache() for _ in range(num_items)]
        blocks = [
            self.encoder(block.flatten(0, 1), [block.shape[1]] * num_items, caches).unflatten(
                0, (num_items, block.shape[1])
            )
            for block in torch.split(frames, _BLOCK_FRAMES, dim=1)
        ]
        return Posterior.from_parameters(torch.cat(blocks, dim=1))

    def new_encoder_state(self) -> EncoderState:
        """State of an encoding stream that has seen nothing."""
        return self.encoder.new_state()

    def encode_stream(
        self, waveforms: Sequence[Tensor], states: Sequence[EncoderState], last: Sequence[bool]
    ) -> list[Posterior]:
        """Posteriors `(T_i, latent_dim)` of the frames that each stream's new samples complete.

        Args:
            waveforms: one `(num_samples_i,)` chunk of each stream, of any length, empty included.
            states: one per stream, advanced in place.
            last: whether this is the stream's end: its last samples are padded to a whole frame.

        Raises LimitExceededError, before any state changes, for a stream longer than
        `max_encode_stream_frames`, and InvalidInputError for one that has ended.
        """
        for waveform, state in zip(waveforms, states, strict=True):
            self.check_encode_chunk(waveform, state)
        cut = [
            self.encoder.cut_stream(waveform, state, is_last)
            for waveform, state, is_last in zip(waveforms, states, last, strict=True)
        ]
        lengths = [frames.shape[0] for frames in cut]
        if not any(lengths):
            empty = [frames.new_zeros(0, 2 * self.latent_dim) for frames in cut]
            return [Posterior.from_parameters(parameters) for parameters in empty]
        parameters = self.encoder(torch.cat(cut), lengths, [state.cache for state in states])
        return [Posterior.from_parameters(piece) for piece in torch.split(parameters, lengths)]

    def check_encode_chunk(self, waveform: Tensor, state: EncoderState) -> None:
        """Raises what `encode_stream` would for this stream; ask first to keep one from failing others."""
        if waveform.ndim != 1:
            raise InvalidAudioError(f"a chunk of shape {tuple(waveform.shape)} must be (num_samples,)")
        _refuse_ended(state.ended)
        num_frames = self.num_frames(state.pending.shape[0] + waveform.shape[0])
        _refuse_endless(state.cache.num_positions + num_frames, self.max_encode_stream_frames)

    def decode(self, latents: Tensor) -> Tensor:
        """Whole waveforms `(B, hop_length * T)`, float32, for latents `(B, T, latent_dim)`."""
        self._check_latents(latents, 3)
        num_items, num_frames, _ = latents.shape
        if num_frames == 0:
            raise InvalidInputError("no latents to decode; give at least one frame")
        if num_frames <= _BLOCK_FRAMES:
            out: Tensor = self.decoder(latents)
            return out
        states = [self.new_decoder_state() for _ in range(num_items)]
        blocks = torch.split(latents, _BLOCK_FRAMES, dim=1)
        pieces = []
        for index, block in enumerate(blocks):
            last = index == len(blocks) - 1
            lengths = [block.shape[1]] * num_items
            streamed = self.decoder.stream(block.flatten(0, 1), lengths, states, [last] * num_items)
            pieces.append(torch.stack(streamed))
        return torch.cat(pieces, dim=1)

    def new_decoder_state(self) -> DecoderState:
        """State of a decoding stream that has seen nothing."""
        return self.decoder.new_state()

    def decode_stream(
        self, latents: Sequence[Tensor], states: Sequence[DecoderState], last: Sequence[bool]
    ) -> list[Tensor]:
        """The samples `(num_samples_i,)`, float32, that each stream can emit after its new latents.

        A stream runs half an overlap (30 ms in the release) behind its latents until its `last`
        call, which flushes; the pieces of a stream add up to `hop_length` samples per frame.

        Args:
            latents: one `(T_i, latent_dim)` chunk of each stream, of any length, empty included.
            states: one per stream, advanced in place.
            last: whether this is the stream's end; an empty chunk may carry it.

        Raises LimitExceededError, before any state changes, for a stream longer than
        `max_decode_stream_frames`, and InvalidInputError for one that has ended.
        """
        for chunk, state in zip(latents, states, strict=True):
            self.check_decode_chunk(chunk, state)
        if not latents:
            return []
        lengths = [chunk.shape[0] for chunk in latents]
        return self.decoder.stream(torch.cat(list(latents)), lengths, states, last)

    def check_decode_chunk(self, latents: Tensor, state: DecoderState) -> None:
        """Raises what `decode_stream` would for this stream; ask first to keep one from failing others."""
        self._check_latents(latents, 2)
        _refuse_ended(state.ended)
        _refuse_endless(state.cache.num_positions + latents.shape[0], self.max_decode_stream_frames)

    def _check_latents(self, latents: Tensor, num_axes: int) -> None:
        if latents.ndim != num_axes or latents.shape[-1] != self.latent_dim:
            expected = f"({'B, ' if num_axes == 3 else ''}T, {self.latent_dim})"
            raise InvalidInputError(
                f"latents of shape {tuple(latents.shape)} cannot be decoded; this model needs {expected}",
                latent_dim=self.latent_dim,
            )


def _key_of(name: str) -> str:
    return published_key(name.removeprefix("_"))


def _require(part: Part | None, name: str) -> Part:
    if part is None:
        raise ValueError(f"this tokenizer was loaded without its {name}; add {name!r} to parts")
    return part


def _stream_limit(backbone: Backbone) -> int | None:
    return None if backbone.is_bounded else _UNBOUNDED_STREAM_FRAMES


def _refuse_ended(ended: bool) -> None:
    if ended:
        raise InvalidInputError(
            "this stream has ended; start a new one with a new state",
            value="ended",
            limit="a running stream",
            remedy="start a new stream",
        )


def _refuse_endless(num_frames: int, limit: int | None) -> None:
    if limit is not None and num_frames > limit:
        raise LimitExceededError(
            f"the stream reaches {num_frames} frames; a model whose attention has no window remembers every "
            f"frame, so streams end at {limit}. Start a new stream",
            value=f"{num_frames} frames",
            limit=f"{limit} frames",
            remedy="start a new stream",
        )
