"""Published weight names to ours (model specification B.2)."""

from __future__ import annotations

import re

from uniaudio.checkpoint import Checkpoint

_WHOLE_MODEL_PREFIX = "audio."

# Ours, published. The first that begins a name replaces it.
_NAMES = (
    ("encoder.frame_projection.", "encoder.fc1."),
    ("encoder.input.", "encoder.fc2."),
    ("encoder.output.", "encoder.fc3."),
    ("encoder.backbone.", "encoder.encoder."),
    ("decoder.projection.", "decoder.fc1."),
    ("decoder.backbone.", "decoder.decoder."),
    ("decoder.head.window", "decoder.head.istft.window"),
    ("decoder.head.", "decoder.head."),
    ("semantic.projection.", "decoder.fc1."),
    ("semantic.expansion.", "decoder.fc2."),
    ("semantic.blocks.", "decoder.semantic_model.blocks."),
    ("semantic.norm.", "decoder.semantic_model.ln_post."),
)
_BACKBONE_LAYER_NAMES = (
    ("attention_norm.", "input_layernorm."),
    ("feed_forward_norm.", "post_attention_layernorm."),
    ("attention.query.", "self_attn.q_proj."),
    ("attention.key.", "self_attn.k_proj."),
    ("attention.value.", "self_attn.v_proj."),
    ("attention.out.", "self_attn.o_proj."),
    ("feed_forward.", "mlp."),
)
_SEMANTIC_BLOCK_NAMES = (
    ("attention_norm.", "attn_ln."),
    ("feed_forward_norm.", "mlp_ln."),
    ("attention.", "attn."),
    ("expand.", "mlp.0."),
    ("contract.", "mlp.2."),
)
_NUMBERED = re.compile(r"(.*\.(?:layers|blocks)\.\d+\.)(.+)")
_UNUSED = re.compile(
    r"((encoder\.encoder|decoder\.decoder)\.embed_tokens\.weight"
    r"|encoder\.norm\.(weight|bias)|decoder\.fc3\.(weight|bias)"
    r"|.*\.rotary_emb\.inv_freq)"
)
PARTS = ("encoder.", "decoder.")
"""What the tokenizer's published keys begin with, after the prefix."""


def published_key(name: str) -> str:
    """The published key, without prefix, of a parameter of `AudioTokenizer`."""
    for ours, published in _NAMES:
        if name.startswith(ours):
            key = published + name.removeprefix(ours)
            break
    else:
        raise ValueError(f"{name} has no published name")
    numbered = _NUMBERED.fullmatch(key)
    if numbered is None:
        return key
    head, rest = numbered.groups()
    for ours, published in _SEMANTIC_BLOCK_NAMES if ".blocks." in head else _BACKBONE_LAYER_NAMES:
        if rest.startswith(ours):
            return head + published + rest.removeprefix(ours)
    return key


def key_prefix(checkpoint: Checkpoint) -> str:
    """What precedes the tokenizer's keys: a whole model's have a prefix, a standalone tokenizer's none."""
    whole = any(key.startswith(_WHOLE_MODEL_PREFIX) for key in checkpoint.keys())
    return _WHOLE_MODEL_PREFIX if whole else ""


def is_unused(key: str) -> bool:
    """Whether the published layout has this key (without prefix) and inference never reads it."""
    return _UNUSED.fullmatch(key) is not None
