"""Goldens 04 to 06: the language model, the flow head, the projector and the stop head."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from uniaudio.llm.flow_head import time_features
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.prompt import AudioSpan, Prompt, understanding_prompt
from uniaudio.llm.solver import SolverOptions, solve, time_grid, velocity_pair
from uniaudio.nn.attention import SequenceCache
from uniaudio.verify.golden import Golden, normal
from uniaudio.verify.materials import Materials
from uniaudio.verify.report import ENCODED, FLOW, LANGUAGE, ROUTER, TABLE

_NUM_DECODE_STEPS = 8
_DEFAULT_CFG = 2.0


@dataclass
class Forward:
    """One pass of the language model with what happened inside."""

    final: Tensor = field(default_factory=lambda: torch.zeros(0))
    layers: list[Tensor] = field(default_factory=list)
    routed: list[tuple[Tensor, Tensor]] = field(default_factory=list)  # weights, expert ids

    def hidden_states(self, embeddings: Tensor) -> Tensor:
        """As recorded: embeddings, outputs of all layers but the last, and the final norm's."""
        return torch.stack((embeddings, *self.layers[:-1], self.final))


def run_language_model(
    model: LanguageModel,
    embeddings: Tensor,
    cache: SequenceCache | None = None,
    audio_mask: Tensor | None = None,
    positions: Tensor | None = None,
) -> Forward:
    """One sequence through the model, observed."""
    seen = Forward()
    with ExitStack() as stack:
        for layer in model.layers:
            assert isinstance(layer.mlp, nn.Module)
            router = layer.mlp.router
            assert isinstance(router, nn.Module)
            _observe(stack, layer, seen.layers.append)
            _observe(stack, router, seen.routed.append)
        caches = None if cache is None else [cache]
        seen.final = model(embeddings, [len(embeddings)], caches, audio_mask, positions)
    return seen


def _observe(stack: ExitStack, module: nn.Module, take: Callable[[Any], None]) -> None:
    stack.callback(module.register_forward_hook(lambda _module, _inputs, output: take(output)).remove)


def check_language_model(golden: Golden, materials: Materials) -> None:
    """04: prefill with audio, with and without the audio router; greedy steps; text; three axes."""
    model, speech = materials.model.language_model, materials.model
    prompt = _asr_prompt(golden, materials)
    embeddings = _check_inputs(golden, materials, prompt)
    cache, mask = model.new_cache(), _stored_mask(golden, speech.audio_mask(prompt))
    prefill = run_language_model(model, embeddings, cache, mask)
    _check_forward(golden, "prefill", model, embeddings, prefill)
    first = cache.layers[0]
    assert first.keys is not None
    assert first.values is not None
    golden.check("prefill.cache.key.0", first.keys[None, :, : first.length], LANGUAGE)
    golden.check("prefill.cache.value.0", first.values[None, :, : first.length], LANGUAGE)
    _check_decode_steps(golden, model, prefill, cache)
    if golden.wants("prefill_nomask.logits"):
        without = run_language_model(model, embeddings)
        _check_forward(golden, "prefill_nomask", model, embeddings, without)
    _check_text_only(golden, materials)


def _asr_prompt(golden: Golden, materials: Materials) -> Prompt:
    """The stored prompt with its audio span; made from `audio/asr.wav` when recording."""
    tokenizer = materials.model.text_tokenizer

    def make(_: torch.Generator) -> Tensor:
        num_patches = materials.model.patch_config.num_patches(len(materials.audio("asr")))
        return torch.tensor([understanding_prompt(tokenizer, num_patches).token_ids])

    ids = golden.given("input_ids", make)[0].tolist()
    start = ids.index(tokenizer.audio_id) + 1
    span = AudioSpan(start, ids.count(tokenizer.audio_patch_id))
    return Prompt(tuple(ids), (span,), audio_router=True)


def _check_inputs(golden: Golden, materials: Materials, prompt: Prompt) -> Tensor:
    """Embeddings from the recording on; the stored ones, if any, go into the model."""
    speech = materials.model
    waveform, latent_dim = materials.audio("asr"), materials.tokenizer.latent_dim
    shape = (1, latent_dim, materials.num_frames(waveform))
    noise = golden.given("noise.posterior", normal(*shape))
    latents = materials.encode(waveform, noise)
    golden.check("audio_embeds", speech.embed_latents(latents)[None], ENCODED)
    num_patches = prompt.audio_spans[0].num_patches
    golden.check("audio_embeds_lengths", torch.tensor([[num_patches]], dtype=torch.int32))
    location = torch.tensor([[[prompt.audio_spans[0].start, num_patches]]])
    golden.check("audio_placeholder_loc_lens", location)
    golden.check("attention_mask", torch.ones(1, len(prompt), dtype=torch.long))
    embeddings = speech.embed_prompt(prompt, [latents], None)
    golden.check("inputs_embeds", embeddings[None], ENCODED)
    return embeddings


def _stored_mask(golden: Golden, mask: Tensor) -> Tensor:
    golden.check("audio_mask", mask[None])
    return mask


def _check_forward(
    golden: Golden, name: str, model: LanguageModel, embeddings: Tensor, forward: Forward
) -> None:
    golden.check(f"{name}.hidden_states", forward.hidden_states(embeddings), LANGUAGE)
    golden.check(f"{name}.logits", model.logits(forward.final)[None], LANGUAGE)
    for layer, (weights, ids) in enumerate(forward.routed):
        golden.check(f"{name}.router.{layer}.topk_ids", ids)
        golden.check(f"{name}.router.{layer}.topk_weights", weights, ROUTER)


def _check_decode_steps(golden: Golden, model: LanguageModel, prefill: Forward, cache: SequenceCache) -> None:
    """Greedy: each id is the best of the step before, as it was when the golden was made."""
    if not golden.wants("decode.input_ids"):
        return
    num_steps = len(golden.given("decode.input_ids", lambda _: torch.zeros(_NUM_DECODE_STEPS)))
    made, hidden, logits, ids, weights = [], [], [], [], []
    last = model.logits(prefill.final[-1:])
    for _ in range(num_steps):
        made.append(int(last.argmax(-1)))
        embedding = model.embed(torch.tensor(made[-1:]))
        step = run_language_model(model, embedding, cache)
        last = model.logits(step.final)
        hidden.append(step.hidden_states(embedding)[:, 0])
        logits.append(last[0])
        weights.append(torch.stack([row[0] for row, _ in step.routed]))
        ids.append(torch.stack([row[0] for _, row in step.routed]))
    golden.check("decode.input_ids", torch.tensor(made))
    golden.check("decode.hidden_states", torch.stack(hidden), LANGUAGE)
    golden.check("decode.logits", torch.stack(logits), LANGUAGE)
    golden.check("decode.router_topk_ids", torch.stack(ids))
    golden.check("decode.router_topk_weights", torch.stack(weights), ROUTER)


def _check_text_only(golden: Golden, materials: Materials) -> None:
    model, tokenizer = materials.model.language_model, materials.model.text_tokenizer
    if not golden.wants("textonly.input_ids"):
        return
    ids = golden.given(
        "textonly.input_ids",
        lambda _: torch.tensor([tokenizer.encode("<role>HUMAN</role>Hi. 你好。<role>ASSISTANT</role>")]),
    )[0]
    embeddings = model.embed(ids)
    _check_forward(golden, "textonly", model, embeddings, run_language_model(model, embeddings))
    if golden.wants("mrope.position_ids"):
        positions = golden.given("mrope.position_ids", lambda _: _three_axes(len(ids)))[:, 0]
        seen = run_language_model(model, embeddings, positions=positions)
        golden.check("mrope.logits", model.logits(seen.final)[None], LANGUAGE)


def _three_axes(length: int) -> Tensor:
    steps = torch.arange(length)
    return torch.stack((steps, steps // 2, steps % 5))[:, None]


def check_flow_head(golden: Golden, materials: Materials) -> None:
    """05: the network at several times, the sampler with several settings, and a batch of two."""
    head, config = materials.model.flow_head, materials.model.flow_head.config
    shape = (config.patch_size, config.latent_dim)
    condition = golden.given("c", normal(1, 1, config.condition_dim))[:, 0]
    history = golden.given("history", normal(1, *shape))
    x = golden.given("x", normal(1, *shape))
    times = golden.given("t", lambda _: torch.tensor([0.0, 0.0192147, 0.2928932, 0.8049097, 1.0]))
    golden.check("time_sinusoid", time_features(times), FLOW)
    golden.check("time_embedding", head.time_embedding(times), FLOW)
    rows = len(times)
    several = [value.expand(rows, *value.shape[1:]) for value in (x, condition, history)]
    golden.check("velocity_cond_full", head(several[0], times, several[1], several[2]), FLOW)
    null = head(several[0], times, torch.zeros_like(several[1]), several[2])
    golden.check("velocity_null_full", null, FLOW)
    if rows > 2:
        pair = velocity_pair(head, x, float(times[2]), condition, history)
        golden.check("velocity_cfg_pair_t2", torch.cat(pair), FLOW)
    for case in golden.cases("timesteps"):
        _check_sample(golden, materials, case, condition, history)
    if golden.wants("batch2.c"):
        _check_batch(golden, materials)


def _check_sample(
    golden: Golden, materials: Materials, case: str, condition: Tensor, history: Tensor
) -> None:
    """`sample.cfg0.5`: guidance in the published convention; `sample.steps8`: another number of steps."""
    config = materials.model.flow_head.config
    setting = case.removeprefix("sample.")
    cfg = float(setting.removeprefix("cfg")) if setting.startswith("cfg") else _DEFAULT_CFG
    planned = int(setting.removeprefix("steps")) if setting.startswith("steps") else 10
    shape = (1, config.patch_size, config.latent_dim)
    initial = golden.given(f"{case}.noise_init", normal(1, shape[2], shape[1]))
    steps = golden.given(f"{case}.noise_step", normal(planned, *shape))
    options = SolverOptions.from_published(cfg, len(steps))
    states: list[Tensor] = []
    before_noise = solve(
        materials.model.flow_head, condition, history, initial.mT, steps, options, states.append
    )
    golden.check(f"{case}.final", before_noise, FLOW)
    golden.check(f"{case}.trajectory", torch.stack(states), FLOW)
    golden.check(f"{case}.timesteps", torch.tensor(time_grid(len(steps))), TABLE)


def _check_batch(golden: Golden, materials: Materials) -> None:
    config = materials.model.flow_head.config
    shape = (2, config.patch_size, config.latent_dim)
    condition = golden.given("batch2.c", normal(2, 1, config.condition_dim))[:, 0]
    history = golden.given("batch2.history", normal(*shape))
    initial = golden.given("batch2.noise_init", normal(2, shape[2], shape[1]))
    steps = golden.given("batch2.noise_step", normal(10, *shape))
    options = SolverOptions.from_published(_DEFAULT_CFG, len(steps))
    final = solve(materials.model.flow_head, condition, history, initial.mT, steps, options)
    golden.check("batch2.final", final, FLOW)


def check_pooling(golden: Golden, materials: Materials) -> None:
    """06: the projector and the stop head."""
    speech = materials.model
    shape = (7, speech.patch_size, speech.patch_config.unified_dim)
    frames = golden.given("input", normal(*shape))
    golden.check("output", speech.pooling(frames.flatten(0, 1))[:, None], ENCODED)
    hidden = golden.given("stop.hidden", normal(1, 1, speech.hidden_size))
    golden.check("stop.logits", speech.stop_logits(hidden[0])[None], LANGUAGE)
