"""The released sizes (model specification, appendix A)."""

from __future__ import annotations

from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.tokenizer.config import BackboneConfig, TokenizerConfig

_BACKBONE = BackboneConfig(
    hidden_size=896,
    intermediate_size=4864,
    num_layers=24,
    num_heads=14,
    num_kv_heads=2,
    head_dim=64,
    sliding_window=32,
    max_window_layers=0,
)
TOKENIZER = TokenizerConfig(
    sample_rate=16000,
    input_dim=320,
    hop_length=320,
    latent_dim=64,
    unified_dim=1280,
    num_semantic_layers=32,
    num_semantic_heads=20,
    encoder=_BACKBONE,
    decoder=_BACKBONE,
)
LANGUAGE_MODEL = LanguageModelConfig(
    vocab_size=126464,
    hidden_size=2048,
    num_layers=28,
    num_heads=16,
    num_kv_heads=4,
    head_dim=128,
    num_experts=64,
    top_k=6,
    moe_intermediate_size=1408,
    num_shared_experts=2,
    multi_gate=True,
    rms_norm_eps=1e-5,
    rope_theta=600000.0,
)
FLOW_HEAD = FlowHeadConfig(
    latent_dim=64, patch_size=5, condition_dim=2048, hidden_size=1024, depth=8, num_heads=16
)
END_TOKEN_ID = 126081
