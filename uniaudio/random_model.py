"""Writes a model with random weights in the released layout: small by default, any size on request.

It makes every path runnable before trained weights exist. It was never trained, and its config
says so; what it writes and speaks is noise. Run `python -m uniaudio.random_model DIR`.
"""

from __future__ import annotations

import math
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from uniaudio.checkpoint_layout import Shape, tensor_shapes
from uniaudio.checkpoint_writer import write_json, write_text_tokenizer, write_weights
from uniaudio.random_vocabulary import SPECIAL_TOKENS, train_text_tokenizer

NOTICE = (
    "This model has random weights and was never trained: its transcripts and its speech are noise. "
    "Exact edits (speed, pitch, volume) do not use it and are real."
)
_END_OF_TEXT = "<|endoftext|>"
# A greedy decode should meet these after some ten tokens, as a trained model would.
_FREQUENT_TOKENS = (_END_OF_TEXT, "<gen_audio>")
_FREQUENT_TOKEN_GAIN = 4.0
# The token that lets an edit reason leads straight to speech: random text might end before it speaks.
_LEADS_TO_SPEECH, _OPENS_SPEECH = "<answer>", "<gen_audio>"
_LEADING_NORM = 30.0  # outweighs what the random layers add
_ROUTER_AND_LOGIT_GAIN = 2.0
_EMBEDDING_STD = 0.3
_WAVEFORM_GAIN = 0.6
_WAVEFORM_LOG_MAGNITUDE = 0.8
# Added to the stop logit, so that speech ends soon after it may and not only at its limit.
_STOP_BIAS = 1.0


def default_config(vocab_size: int, token_ids: dict[str, int]) -> dict[str, Any]:
    """Config of the default small model; head_dim and latent_dim are the released ones."""
    backbone = {
        "hidden_act": "silu",
        "hidden_size": 128,
        "intermediate_size": 256,
        "max_position_embeddings": 8192,
        "max_window_layers": 0,
        "model_type": "qwen2",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000.0,
        "sliding_window": 32,
        "use_sliding_window": True,
        "vocab_size": 32,
    }
    return {
        "architectures": ["BailingMMNativeForConditionalGeneration"],
        "model_type": "bailingmm",
        "torch_dtype": "float32",
        "uniaudio": {"name": "uniaudio-random", "trained": False, "notice": NOTICE},
        "llm_config": {
            "architectures": ["BailingMoeForCausalLM"],
            "model_type": "bailing_moe",
            "hidden_act": "silu",
            "vocab_size": vocab_size,
            "eos_token_id": token_ids[_END_OF_TEXT],
            "pad_token_id": token_ids[_END_OF_TEXT],
            "tie_word_embeddings": False,
            "hidden_size": 128,
            "intermediate_size": 256,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 128,
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "num_shared_experts": 1,
            "moe_intermediate_size": 64,
            "first_k_dense_replace": 0,
            "norm_topk_prob": True,
            "multi_gate": True,
            "norm_head": False,
            "use_qkv_bias": False,
            "use_bias": False,
            "rms_norm_eps": 1e-05,
            "rope_theta": 600000,
            "rope_scaling": {"type": "3D", "factor": None},
            "max_position_embeddings": 32768,
        },
        "audio_tokenizer_config": {
            "enc_kwargs": {"backbone": dict(backbone), "input_dim": 320, "hop_size": 320, "latent_dim": 64},
            "semantic_module_kwargs": {"whisper_encoder": {"n_state": 128, "n_head": 2, "n_layer": 2}},
            "dec_kwargs": {"backbone": dict(backbone), "output_dim": 320, "latent_dim": 64},
            "patch_size": -1,
        },
        "ditar_config": {"hidden_size": 128, "depth": 2, "num_heads": 4, "mlp_ratio": 4.0},
    }


def write_random_checkpoint(
    directory: Path | str,
    seed: int = 0,
    *,
    config: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
    max_shard_bytes: int | None = None,
) -> Path:
    """Writes config, weights and text tokenizer; the same seed gives the same bits.

    Args:
        config: another model than the default one; its LLM needs at least as many vocabulary rows
            as the text tokenizer has tokens. Without `llm_config` it is a standalone tokenizer.
        max_shard_bytes: cuts the weights into shards with an index; None writes one file.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = train_text_tokenizer()
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    token_ids = {token: vocabulary[token] for token in SPECIAL_TOKENS}
    if config is None:
        config = default_config(math.ceil(tokenizer.get_vocab_size() / 64) * 64, token_ids)
    write_json(directory / "config.json", config)
    if "llm_config" in config:
        write_text_tokenizer(directory, tokenizer)
        arguments = {"hop_size": 320, "patch_size": 5, "sampling_rate": 16000}
        write_json(directory / "preprocessor_config.json", {"audio_tokenizer_args": arguments})
    shapes = tensor_shapes(config)
    write_weights(
        directory,
        {key: math.prod(shape) * dtype.itemsize for key, shape in shapes.items()},
        lambda key: _draw(key, shapes[key], seed, token_ids).to(dtype),
        max_shard_bytes,
    )
    return directory


def _draw(key: str, shape: Shape, seed: int, token_ids: dict[str, int]) -> Tensor:
    """Values of one tensor, from the seed and the key alone, so that no other tensor matters."""
    if key.endswith("istft.window"):
        return torch.hann_window(shape[0], periodic=True)
    if key.endswith("rotary_embed.inv_freq"):
        return 10000.0 ** (-torch.arange(shape[0]) / shape[0])
    rng = np.random.default_rng([seed, zlib.crc32(key.encode())])
    values = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
    if key.endswith("bias"):
        values *= 0.05
        if key.endswith("head.out.bias"):
            values[: shape[0] // 2] += _WAVEFORM_LOG_MAGNITUDE
        if key == "stop_head.bias":
            values[1] += _STOP_BIAS
    elif len(shape) == 1:
        values = 1 + 0.1 * values
    elif key.endswith(("word_embeddings.weight", "embed_tokens.weight")):
        values *= _EMBEDDING_STD
        if key == "model.model.word_embeddings.weight":
            head = _draw("model.lm_head.weight", shape, seed, token_ids)
            direction = torch.nn.functional.normalize(head[token_ids[_OPENS_SPEECH]], dim=0)
            values[token_ids[_LEADS_TO_SPEECH]] = _LEADING_NORM * direction
    else:
        values *= _gain(key) / math.sqrt(shape[-1] or 1)
    if key == "model.lm_head.weight":
        for token in _FREQUENT_TOKENS:
            values[token_ids[token]] *= _FREQUENT_TOKEN_GAIN
    return values


def _gain(key: str) -> float:
    if key.endswith(("gate.weight", "lm_head.weight")):
        return _ROUTER_AND_LOGIT_GAIN
    return _WAVEFORM_GAIN if key.endswith("head.out.weight") else 1.0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m uniaudio.random_model DIR")
    write_random_checkpoint(sys.argv[1])
