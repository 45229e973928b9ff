"""Published weight names to ours, and loading by them (model specification, appendix B)."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import replace

import torch

from uniaudio.checkpoint import Checkpoint, Piece, Source, load_parameters, refuse_unknown_keys
from uniaudio.errors import CheckpointError
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import DecoderLayer, LanguageModel, normalize_head
from uniaudio.llm.patching import LinearPooling
from uniaudio.nn.held_experts import ExpertShare, HeldExperts

_LLM_PREFIX = "model."
_FLOW_PREFIX = "flowloss.cfm.model."
_FLOW_FREQUENCIES = _FLOW_PREFIX + "rotary_embed.inv_freq"
POOLING_KEYS = {
    "norm.weight": "linear_proj_audio.final_layer.norm_final.weight",
    "linear.weight": "linear_proj_audio.final_layer.linear.weight",
    "linear.bias": "linear_proj_audio.final_layer.linear.bias",
}
# Ours, published; the first that begins a name (after the block's number) replaces it.
_FLOW_NAMES = (
    ("time_embedding.linear_in.", "t_embedder.time_mlp.0."),
    ("time_embedding.linear_out.", "t_embedder.time_mlp.2."),
    ("frame_embedding.", "x_embedder."),
    ("condition_embedding.", "c_embedder.cond_embedder."),
    ("norm.", "final_layer.norm_final."),
    ("output.", "final_layer.linear."),
)
_FLOW_BLOCK_NAMES = (
    ("attention.to_out.", "attn.to_out.0."),
    ("attention.", "attn."),
    ("linear_in.", "mlp.ff.0.0."),
    ("linear_out.", "mlp.ff.2."),
    ("norm", "norm"),
)
_EXPERTS = re.compile(r"(layers\.\d+\.mlp\.experts)\.(gate_proj|up_proj|down_proj)$")
_EXPERT_KEY = re.compile(r"layers\.\d+\.mlp\.experts\.(\d+)\.")
_UNUSED_LLM = re.compile(r"\.(image_gate|audio_gate)\.weight$|\.inv_freq$")


def load_language_model(
    checkpoint: Checkpoint,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    share: ExpertShare | None = None,
) -> LanguageModel:
    """The language model, one tensor at a time; CheckpointError names key and shapes that disagree.

    Of the routed experts, only those of `share` are loaded; None loads all.
    """
    config = LanguageModelConfig.from_config(checkpoint.config)
    config = replace(config, multi_gate=_has_audio_routers(checkpoint, config))
    with torch.device("meta"):
        model = LanguageModel(config)
        if share is not None:
            _hold_share(model, share)
    held = None if share is None else share.held
    used = load_parameters(
        model,
        checkpoint,
        lambda name: language_model_source(name, checkpoint.keys(), config, held),
        dtype=dtype,
        device=device,
    )
    tied = {"model.lm_head.weight"} if config.tie_word_embeddings else set()
    refuse_unknown_keys(
        checkpoint,
        used | tied,
        lambda key: _is_unused(key, checkpoint) or (held is not None and _is_elsewhere(key, held, config)),
        _LLM_PREFIX,
    )
    if config.norm_head:
        normalize_head(model.lm_head.weight)
    return model.eval()


def load_held_experts(
    checkpoint: Checkpoint,
    held: range,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Iterator[HeldExperts]:
    """The routed experts `held` of every layer, one layer at a time; nothing else is read."""
    config = LanguageModelConfig.from_config(checkpoint.config)
    for index in range(config.num_layers):
        with torch.device("meta"):
            experts = HeldExperts(config.hidden_size, config.moe_intermediate_size, held, index)
        sources = {
            name: language_model_source(f"layers.{index}.mlp.experts.{name}", checkpoint.keys(), config, held)
            for name, _ in experts.named_parameters()
        }
        load_parameters(experts, checkpoint, sources, dtype=dtype, device=device)
        yield experts.eval()


def load_pooling(
    checkpoint: Checkpoint,
    *,
    unified_dim: int,
    hidden_size: int,
    patch_size: int,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> LinearPooling:
    """The projector from unified features to embeddings."""
    with torch.device("meta"):
        pooling = LinearPooling(unified_dim, hidden_size, patch_size)
    load_parameters(pooling, checkpoint, POOLING_KEYS, dtype=dtype, device=device)
    return pooling.eval()


def load_flow_head(
    checkpoint: Checkpoint,
    config: FlowHeadConfig,
    *,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> FlowHead:
    """The diffusion transformer."""
    with torch.device("meta"):
        head = FlowHead(config)
    used = load_parameters(head, checkpoint, flow_head_key, dtype=dtype, device=device)
    if _FLOW_FREQUENCIES in checkpoint:
        # A file in bfloat16 holds rounded frequencies, and the published model turns by those.
        head.rotary_frequencies = checkpoint.tensor(_FLOW_FREQUENCIES, dtype=torch.float32, device=device)
    refuse_unknown_keys(checkpoint, {*used, _FLOW_FREQUENCIES}, lambda _: False, _FLOW_PREFIX)
    return head.eval()


def load_stop_head(
    checkpoint: Checkpoint,
    *,
    hidden_size: int,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> StopHead:
    """The stop head."""
    with torch.device("meta"):
        head = StopHead(hidden_size)
    load_parameters(head, checkpoint, lambda name: f"stop_head.{name}", dtype=dtype, device=device)
    return head.eval()


def language_model_source(
    name: str, keys: Container[str], config: LanguageModelConfig, held: range | None = None
) -> Source:
    """Where a parameter of `LanguageModel` lies among the keys; experts lie one by one or stacked (B.3).

    `held` are the routed experts that the parameter has; None is all of them.
    """
    if name == "lm_head.weight":
        return "model.model.word_embeddings.weight" if config.tie_word_embeddings else "model.lm_head.weight"
    experts = _EXPERTS.match(name)
    if experts is None:
        return f"model.model.{name.replace('.mlp.router.', '.mlp.')}"
    prefix, projection = experts.groups()
    stacked = f"model.model.{prefix}.{projection}.weight"
    if stacked in keys and held is None:
        return stacked
    held = range(config.num_experts) if held is None else held
    if stacked in keys:
        return [Piece(stacked, into=(place,), part=index) for place, index in enumerate(held)]
    return [
        Piece(f"model.model.{prefix}.{index}.{projection}.weight", into=(place,))
        for place, index in enumerate(held)
    ]


def flow_head_key(name: str) -> str:
    """The published key of a parameter of `FlowHead`."""
    block = re.match(r"blocks\.\d+\.", name)
    prefix = block.group() if block else ""
    rest = name.removeprefix(prefix)
    for ours, published in _FLOW_BLOCK_NAMES if block else _FLOW_NAMES:
        if rest.startswith(ours):
            return _FLOW_PREFIX + prefix + published + rest.removeprefix(ours)
    raise ValueError(f"{name} has no published name")


def _is_unused(key: str, checkpoint: Checkpoint) -> bool:
    """Whether inference never reads the key; without shared experts, empty tensors stand for them."""
    return bool(_UNUSED_LLM.search(key)) or 0 in checkpoint.shape(key)


def _is_elsewhere(key: str, held: range, config: LanguageModelConfig) -> bool:
    """Whether the key is of an expert that another rank holds."""
    expert = _EXPERT_KEY.search(key)
    return expert is not None and int(expert[1]) in range(config.num_experts) and int(expert[1]) not in held


def _hold_share(model: LanguageModel, share: ExpertShare) -> None:
    config = model.config
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, DecoderLayer)
        layer.mlp.experts = HeldExperts(
            config.hidden_size, config.moe_intermediate_size, share.held, index, share.others
        )


def _has_audio_routers(checkpoint: Checkpoint, config: LanguageModelConfig) -> bool:
    """Whether masks have an effect (3.4): the config says so and every layer has the tensors.

    Without a single one the masks are ignored, as specified; with some, the checkpoint is broken.
    """
    if not config.multi_gate:
        return False
    keys = [f"model.model.layers.{i}.mlp.audio_gate.weight" for i in range(config.num_layers)]
    missing = [key for key in keys if key not in checkpoint]
    if 0 < len(missing) < len(keys):
        raise CheckpointError(
            f"{missing[0]}: missing, but other layers have theirs and llm_config.multi_gate is true; "
            f"expected shape {(config.num_experts, config.hidden_size)}",
            key=missing[0],
        )
    return not missing
