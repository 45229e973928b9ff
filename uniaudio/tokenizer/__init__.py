"""The continuous audio tokenizer (MingTok-Audio's layout)."""

from uniaudio.tokenizer.config import BackboneConfig, TokenizerConfig
from uniaudio.tokenizer.decoder import DecoderState
from uniaudio.tokenizer.encoder import EncoderState
from uniaudio.tokenizer.model import AudioTokenizer
from uniaudio.tokenizer.posterior import Posterior
from uniaudio.tokenizer.semantic import SemanticModule

__all__ = [
    "AudioTokenizer",
    "BackboneConfig",
    "DecoderState",
    "EncoderState",
    "Posterior",
    "SemanticModule",
    "TokenizerConfig",
]
