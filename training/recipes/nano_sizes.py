"""How large nano is: some 15.9 M parameters, which in bfloat16 stay below 32 MB."""

from __future__ import annotations

from training.stages.teacher_encoder import TeacherConfig
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.tokenizer.config import BackboneConfig, TokenizerConfig
from uniaudio.tokenizer.ear import EarConfig

NUM_ANCHORED = 16
NUM_CONTENT = 24


def _backbone(num_layers: int) -> BackboneConfig:
    return BackboneConfig(
        hidden_size=256,
        intermediate_size=768,
        num_layers=num_layers,
        num_heads=4,
        num_kv_heads=4,
        head_dim=64,
        sliding_window=32,
        max_window_layers=0,
    )


TOKENIZER = TokenizerConfig(
    sample_rate=16000,
    input_dim=320,
    hop_length=320,
    latent_dim=64,
    unified_dim=256,
    num_semantic_layers=3,
    num_semantic_heads=4,
    encoder=_backbone(3),
    decoder=_backbone(4),
)
EAR_NET = EarConfig(num_channels=NUM_CONTENT)
# As deep as the student, which begins with its blocks.
TEACHER = TeacherConfig(dim=256, num_layers=3, num_heads=4)


def language_model(vocab_size: int) -> LanguageModelConfig:
    """The language model for a vocabulary."""
    return LanguageModelConfig(
        vocab_size=vocab_size,
        hidden_size=256,
        num_layers=6,
        num_heads=4,
        num_kv_heads=2,
        head_dim=64,
        num_experts=4,
        top_k=2,
        moe_intermediate_size=128,
        num_shared_experts=2,
        multi_gate=True,
        rms_norm_eps=1e-5,
        rope_theta=10000.0,
    )


FLOW_HEAD = FlowHeadConfig(
    latent_dim=64, patch_size=5, condition_dim=256, hidden_size=192, depth=3, num_heads=4
)
