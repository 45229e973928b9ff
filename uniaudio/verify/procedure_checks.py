"""Goldens 07 to 09: understanding, speech and edits from the recording to the result."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from uniaudio.engine.noise import NoiseSource, RecordedNoise
from uniaudio.engine.procedure import (
    PUBLISHED_MAX_TOKENS,
    SpeechResult,
    TextResult,
    edit,
    published_edit_rules,
    published_speak_rules,
    speak,
    understand,
)
from uniaudio.llm.prompt import (
    ANSWER,
    ASSISTANT,
    HUMAN,
    SPEAK,
    AudioClip,
    Message,
    Prompt,
    Role,
    chat_prompt,
    render_chat,
    speak_prompt,
)
from uniaudio.llm.solver import SolverOptions
from uniaudio.verify.golden import Golden, normal
from uniaudio.verify.materials import Materials
from uniaudio.verify.report import (
    ENCODED,
    GENERATED,
    GENERATED_WAVEFORM,
    LANGUAGE,
)
from uniaudio.verify.tokenizer_checks import stream_waveform

_AUDIO_MARK = "<AUDIO>"
_PUBLISHED_CFG = 2.0


class DrawnNoise:
    """Noise drawn while recording, and kept in the published layout."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        self.initial: list[Tensor] = []
        self.steps: list[Tensor] = []

    def next_patch(self, num_steps: int, patch_size: int, latent_dim: int) -> tuple[Tensor, Tensor]:
        self.initial.append(torch.randn(1, latent_dim, patch_size, generator=self._generator))
        self.steps.append(torch.randn(num_steps, 1, patch_size, latent_dim, generator=self._generator))
        return self.initial[-1][0].T, self.steps[-1][:-1, 0]


def check_understanding(golden: Golden, materials: Materials) -> None:
    """07: greedy text for a recording."""
    for case in _cases(golden):
        speech, latents = materials.stepping_model, _encode(golden, materials, case, "asr")
        instruction = str(golden.setting(case, "instruction"))
        language = golden.setting(case, "lang")
        num_patches = len(latents) // speech.patch_size
        messages = [Message(Role.HUMAN, (instruction, AudioClip(num_patches)))]
        suffix = f"{language}\t" if language else ""
        prompt = chat_prompt(speech.text_tokenizer, messages, suffix=suffix, audio_router=True)
        golden.check_value((case, "prompt"), render_chat(messages, _AUDIO_MARK))
        golden.check(f"{case}.audio_embeds", speech.embed_latents(latents)[None], ENCODED)
        _check_prompt(golden, materials, case, prompt, latents, wrapped=True)
        limit = golden.setting(case, "max_new_tokens") or PUBLISHED_MAX_TOKENS
        result = understand(speech, prompt, [latents], max_tokens=limit, keep_logits=True)
        _check_text(golden, case, result, ids="generated_ids", logits="step_logits")
        golden.check_value((case, "eos_token_id"), [speech.text_tokenizer.end_id])
        golden.check_value((case, "generated_ids"), list(result.token_ids))
        golden.check_value((case, "output_text"), result.text)
        golden.check_value((case, "stopped_by"), "eos" if result.ended else "max_new_tokens")


def check_speaking(golden: Golden, materials: Materials) -> None:
    """08: speech that continues a voice prompt, streamed and offline."""
    for case in _cases(golden):
        speech, latents = materials.stepping_model, _encode(golden, materials, case, "prompt")
        text, prompt_text = str(golden.setting(case, "text")), str(golden.setting(case, "prompt_text"))
        num_patches = len(latents) // speech.patch_size
        prompt = speak_prompt(speech.text_tokenizer, text, prompt_text=prompt_text, num_patches=num_patches)
        golden.check(f"{case}.prompt_unified", speech.unify(latents)[None], ENCODED)
        golden.check(f"{case}.prompt_embeds", speech.embed_latents(latents)[None], ENCODED)
        last = latents[(num_patches - 1) * speech.patch_size :][: speech.patch_size]
        golden.check(f"{case}.prompt_latent_patches", last[None], ENCODED)
        _check_prompt(golden, materials, case, prompt, latents, wrapped=False)
        rules = published_speak_rules(text, chinese=golden.setting(case, "lang") == "zh")
        noise = _noise(golden, case)
        result = speak(speech, prompt, latents, noise=noise, rules=rules, options=_options(golden, case))
        _check_speech(golden, materials, case, result, noise)
        embeddings = result.embeddings[None]
        golden.check(f"{case}.patch_embeds", embeddings, GENERATED)
        # Published: what reaches the limit never says which chunk is the last one.
        pieces = stream_waveform(materials, list(result.patches), flush=result.ended)
        golden.check(f"{case}.waveform", torch.cat(pieces)[None], GENERATED_WAVEFORM)
        golden.check(f"{case}.chunk_lengths", torch.tensor([len(piece) for piece in pieces]))
        offline = materials.tokenizer.decode(result.patches.flatten(0, 1)[None])
        golden.check(f"{case}.waveform_offline", offline, GENERATED_WAVEFORM)
        pieces_of_text = [HUMAN, SPEAK + prompt_text, text, ASSISTANT]
        values: dict[str, Any] = {
            "pieces": pieces_of_text,
            "rendered": "".join(pieces_of_text) + "<audio>" + "<audioPatch>" * num_patches,
            "num_iter": rules.max_patches,
            "last_step_index": len(result.patches) - 1,
            "stopped_by": "stop_head" if result.ended else "num_iter",
            "prompt_patches": num_patches,
            "waveform_samples": sum(len(piece) for piece in pieces),
        }
        for key, value in values.items():
            golden.check_value((case, key), value)


def check_editing(golden: Golden, materials: Materials) -> None:
    """09: text, then speech, for a recording and an instruction."""
    for case in _cases(golden):
        speech, latents = materials.stepping_model, _encode(golden, materials, case, "edit")
        num_patches = len(latents) // speech.patch_size
        messages = [Message(Role.HUMAN, (AudioClip(num_patches), str(golden.setting(case, "instruction"))))]
        suffix = ANSWER if golden.setting(case, "use_cot") else ""
        prompt = chat_prompt(speech.text_tokenizer, messages, suffix=suffix)
        golden.check_value((case, "prompt"), render_chat(messages, _AUDIO_MARK))
        golden.check(f"{case}.audio_unified", speech.unify(latents)[None], ENCODED)
        golden.check(f"{case}.audio_embeds", speech.embed_latents(latents)[None], ENCODED)
        _check_prompt(golden, materials, case, prompt, latents, wrapped=True)
        rules, noise = published_edit_rules(len(prompt)), _noise(golden, case)
        result = edit(
            speech,
            prompt,
            latents,
            noise=noise,
            rules=rules,
            options=_options(golden, case),
            keep_logits=True,
        )
        _check_text(golden, case, result.text, ids="text_ids", logits="text_step_logits")
        _check_speech(golden, materials, case, result.speech, noise)
        offline = materials.tokenizer.decode(result.speech.patches.flatten(0, 1)[None])
        golden.check(f"{case}.waveform_out", offline[None], GENERATED_WAVEFORM)
        values: dict[str, Any] = {
            "text_ids": list(result.text.token_ids),
            "edited_text": result.text.text,
            "last_audio_index": len(result.speech.patches) - 1,
            "max_steps": rules.max_patches,
            "stopped_by": "stop_head" if result.speech.ended else "max_steps",
            "waveform_samples": offline.shape[-1],
        }
        for key, value in values.items():
            golden.check_value((case, key), value)


def _cases(golden: Golden) -> list[str]:
    """The document's cases; each has its tensors under its name."""
    document = golden.document()
    if not isinstance(document, dict):
        raise LookupError(f"{golden.name}.json is missing: it holds the texts and settings")
    return list(document)


def _encode(golden: Golden, materials: Materials, case: str, audio: str) -> Tensor:
    """Latents `(T, C)` of the case's recording, `audio` if it names none, with its posterior draw."""
    named = golden.setting(case, "audio")
    waveform = materials.audio(str(named).removesuffix(".wav") if named else audio)
    shape = (1, materials.tokenizer.latent_dim, materials.num_frames(waveform))
    noise = golden.given(f"{case}.noise.posterior", normal(*shape))
    golden.check(f"{case}.waveform_length", torch.tensor([len(waveform)], dtype=torch.int32))
    return materials.encode(waveform, noise)


def _check_prompt(
    golden: Golden, materials: Materials, case: str, prompt: Prompt, latents: Tensor, *, wrapped: bool
) -> None:
    ids = torch.tensor(prompt.token_ids)
    golden.check(f"{case}.input_ids", ids[None] if wrapped else ids)
    embeddings = materials.stepping_model.embed_prompt(prompt, [latents], None)
    golden.check(f"{case}.prefill_embeds", embeddings[None], ENCODED)
    if wrapped:
        span = prompt.audio_spans[0]
        location = torch.tensor([[[span.start, span.num_patches]]])
        golden.check(f"{case}.audio_placeholder_loc_lens", location)


def _check_text(golden: Golden, case: str, result: TextResult, *, ids: str, logits: str) -> None:
    golden.check(f"{case}.{ids}", torch.tensor(result.token_ids))
    assert result.logits is not None
    golden.check(f"{case}.{logits}", result.logits, LANGUAGE)
    best = result.logits.topk(2, -1).values
    margin = float((best[:, 0] - best[:, 1]).min())
    golden.check_value((case, "min_argmax_margin"), margin, 2 * LANGUAGE)


def _check_speech(
    golden: Golden, materials: Materials, case: str, result: SpeechResult, noise: NoiseSource
) -> None:
    if isinstance(noise, DrawnNoise):
        golden.check(f"{case}.noise.init", torch.stack(noise.initial))
        golden.check(f"{case}.noise.step", torch.stack(noise.steps))
    golden.check(f"{case}.latents", result.patches, GENERATED)
    golden.check(f"{case}.z", result.conditions[None], GENERATED)
    golden.check(f"{case}.stop_logits", result.stop_logits, GENERATED)
    probabilities = result.stop_logits.softmax(-1)[:, 1]
    golden.check(f"{case}.stop_probability", probabilities, GENERATED)
    fires = [index for index, p in enumerate(probabilities.tolist()) if p > 0.5]
    early = fires[:-1] if result.ended else fires
    golden.check_value((case, "early_fires_ignored"), early)
    golden.check_value((case, "patches"), len(result.patches))
    golden.check_value((case, "patch_size"), materials.model.patch_size)


def _noise(golden: Golden, case: str) -> NoiseSource:
    """The recorded draws; when recording, new ones."""
    generator = golden.generator(f"{case}.noise")
    if generator is not None:
        return DrawnNoise(generator)
    initial = golden.given(f"{case}.noise.init", lambda _: torch.zeros(0))
    steps = golden.given(f"{case}.noise.step", lambda _: torch.zeros(0))
    return RecordedNoise((first[0].T, rest[:, 0]) for first, rest in zip(initial, steps, strict=True))


def _options(golden: Golden, case: str) -> SolverOptions:
    cfg = golden.setting(case, "cfg")
    steps = golden.setting(case, "steps")
    return SolverOptions.from_published(_PUBLISHED_CFG if cfg is None else float(cfg), steps or 10)
