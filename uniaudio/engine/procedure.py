"""Understanding, speech and edits for one caller, step by step as specified (model specification 7).

The engine does the same for many callers at once; this is the short form that is easy to check. With
the published rules and recorded noise it repeats the published model's numbers; `rules_of` takes the
engine's own limits instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from uniaudio.engine.budget import PUBLISHED_MIN_PATCHES_EDIT, PUBLISHED_MIN_PATCHES_SPEAK, Budget
from uniaudio.engine.noise import NoiseSource
from uniaudio.engine.speech_model import AnySpeechModel, SequenceState
from uniaudio.errors import ModelOutputError
from uniaudio.llm.prompt import Prompt
from uniaudio.llm.solver import SolverOptions

PUBLISHED_MAX_TOKENS = 512
_STOP_THRESHOLD = 0.5


@dataclass(frozen=True, kw_only=True)
class Rules:
    """When a generation ends.

    Attributes:
        min_patches: fewest patches before the stop head is heard.
        max_patches: most patches.
        max_tokens: most text tokens.
        drop_surplus_patch: hear the stop head before a patch is sampled. The published procedure
            hears it after, and so ends every utterance with one patch too many.
        end_token_ends: an edit whose text ends without speech fails at once; published ones go on.
    """

    min_patches: int
    max_patches: int
    max_tokens: int = 0
    drop_surplus_patch: bool = False
    end_token_ends: bool = False


def published_speak_rules(text: str, *, chinese: bool) -> Rules:
    """The published limits (7.3): too few characters or words give no patch at all."""
    units = len(text) if chinese else len(text.split(" "))
    return Rules(min_patches=PUBLISHED_MIN_PATCHES_SPEAK, max_patches=units // 3 * 25)


def published_edit_rules(num_positions: int) -> Rules:
    """The published limits (7.4) for a prompt of that many positions; text and patches share them."""
    max_steps = max(int(2.5 * num_positions), 100)
    return Rules(min_patches=PUBLISHED_MIN_PATCHES_EDIT, max_patches=max_steps, max_tokens=max_steps)


def rules_of(budget: Budget) -> Rules:
    """The engine's own limits: no surplus patch, and a clear end where the model does not speak."""
    return Rules(
        min_patches=budget.min_patches,
        max_patches=budget.max_patches,
        max_tokens=budget.max_tokens,
        drop_surplus_patch=True,
        end_token_ends=True,
    )


@dataclass(frozen=True, kw_only=True)
class TextResult:
    """Text as made.

    Attributes:
        token_ids: all ids made, the ending one included.
        text: decoded text.
        ended: whether a token ended it, not the limit.
        logits: `(n, V)`, what each id was chosen from, if asked for.
    """

    token_ids: tuple[int, ...]
    text: str
    ended: bool
    logits: Tensor | None = None


@dataclass(frozen=True, kw_only=True)
class SpeechResult:
    """Speech as latents, n patches of it.

    Attributes:
        patches: `(n, P, C)`, float32.
        conditions: hidden states `(n, H)` that the patches were sampled from.
        stop_logits: `(n, 2)`.
        embeddings: `(n - 1, H)`, what was fed back after each patch but the last.
        ended: whether the stop head ended it, not the limit.
    """

    patches: Tensor
    conditions: Tensor
    stop_logits: Tensor
    embeddings: Tensor
    ended: bool


@dataclass(frozen=True, kw_only=True)
class EditResult:
    """The text that the model wrote first, and the speech."""

    text: TextResult
    speech: SpeechResult


def understand(
    model: AnySpeechModel,
    prompt: Prompt,
    clips: Sequence[Tensor],
    *,
    max_tokens: int = PUBLISHED_MAX_TOKENS,
    keep_logits: bool = False,
) -> TextResult:
    """Greedy text for a prompt and the latents `(num_frames, C)` of its recordings (7.2)."""
    state = model.new_state()
    hidden = model.prefill([prompt], [clips], [state])
    end_id = model.text_tokenizer.end_id
    result, _ = _write(model, hidden, state, ends_at=(end_id,), max_tokens=max_tokens, keep=keep_logits)
    return replace(result, text=model.text_tokenizer.decode(result.token_ids, skip_special=True))


def speak(
    model: AnySpeechModel,
    prompt: Prompt,
    prompt_latents: Tensor | None,
    *,
    noise: NoiseSource,
    rules: Rules,
    options: SolverOptions | None = None,
) -> SpeechResult:
    """Speech that continues the prompt recording's latents `(num_frames, C)`, or begins afresh (7.3)."""
    state = model.new_state()
    clips = [] if prompt_latents is None or not prompt.audio_spans else [prompt_latents]
    hidden = model.prefill([prompt], [clips], [state])
    history = None
    if clips:
        end = prompt.num_audio_patches * model.patch_size
        history = clips[0][end - model.patch_size : end]
    return _speak(model, hidden, state, history, noise, rules, options or SolverOptions())


def edit(
    model: AnySpeechModel,
    prompt: Prompt,
    source_latents: Tensor,
    *,
    noise: NoiseSource,
    rules: Rules,
    options: SolverOptions | None = None,
    keep_logits: bool = False,
) -> EditResult:
    """Text, then the edited speech, for a source's latents `(num_frames, C)` (7.4).

    Raises ModelOutputError if the model does not begin to speak.
    """
    state = model.new_state()
    hidden = model.prefill([prompt], [[source_latents]], [state])
    tokenizer = model.text_tokenizer
    ends_at = (tokenizer.gen_audio_id, *([tokenizer.end_id] if rules.end_token_ends else []))
    written, hidden = _write(
        model, hidden, state, ends_at=ends_at, max_tokens=rules.max_tokens, keep=keep_logits
    )
    written = replace(written, text=tokenizer.decode(written.token_ids))
    if not written.token_ids or written.token_ids[-1] != tokenizer.gen_audio_id:
        raise ModelOutputError(
            f"the model wrote {len(written.token_ids)} tokens without starting to speak; allow more "
            "tokens or rephrase the instruction",
            reason="NO_AUDIO",
            value=f"{len(written.token_ids)} tokens without speech",
            limit=f"{rules.max_tokens} tokens",
            remedy="allow more tokens or rephrase the instruction",
            text=written.text[:200],
        )
    # Published limits count text and patches together; the engine's own are far from meeting.
    left = max(rules.max_patches - len(written.token_ids), 1)
    shared = rules if rules.end_token_ends else replace(rules, max_patches=left)
    hidden = model.step(model.embed_tokens(torch.tensor([tokenizer.gen_audio_id])), [state])
    speech = _speak(model, hidden, state, None, noise, shared, options or SolverOptions())
    return EditResult(text=written, speech=speech)


def _write(
    model: AnySpeechModel,
    hidden: Tensor,
    state: SequenceState,
    *,
    ends_at: Sequence[int],
    max_tokens: int,
    keep: bool,
) -> tuple[TextResult, Tensor]:
    """Greedy tokens until one of `ends_at`, which is not fed; and the last hidden state `(1, H)`."""
    token_ids: list[int] = []
    kept: list[Tensor] = []
    while len(token_ids) < max_tokens:
        if token_ids:
            hidden = model.step(model.embed_tokens(torch.tensor(token_ids[-1:])), [state])
        logits = model.logits(hidden)
        if keep:
            kept.append(logits)
        token_ids.append(int(logits.argmax(-1)))
        if token_ids[-1] in ends_at:
            break
    ended = bool(token_ids) and token_ids[-1] in ends_at
    result = TextResult(
        token_ids=tuple(token_ids), text="", ended=ended, logits=torch.cat(kept) if kept else None
    )
    return result, hidden


def _speak(
    model: AnySpeechModel,
    hidden: Tensor,
    state: SequenceState,
    history: Tensor | None,
    noise: NoiseSource,
    rules: Rules,
    options: SolverOptions,
) -> SpeechResult:
    """Patches from the hidden state `(1, H)` on, until the stop head or the limit ends them."""
    shape = (model.patch_size, model.latent_dim)
    previous = torch.zeros(1, *shape) if history is None else history.float()[None]
    patches: list[Tensor] = []
    conditions: list[Tensor] = []
    stop_logits: list[Tensor] = []
    embeddings: list[Tensor] = []
    ended = False
    while len(patches) < rules.max_patches and not ended:
        if patches:
            embedding = model.embed_patches(patches[-1], [state])
            hidden = model.step(embedding, [state])
            embeddings.append(embedding)
        stops = float(model.stop_probabilities(hidden)) > _STOP_THRESHOLD
        if rules.drop_surplus_patch and stops and len(patches) >= max(rules.min_patches, 1):
            ended = True
            embeddings.pop()
            break
        initial, steps = noise.next_patch(options.num_steps, *shape)
        previous = model.sample_patches(hidden, previous, initial[None], steps[:, None], options)
        patches.append(previous)
        conditions.append(hidden)
        stop_logits.append(model.stop_logits(hidden))
        ended = not rules.drop_surplus_patch and stops and len(patches) >= rules.min_patches
    if not patches:
        raise ModelOutputError(
            "the limit allows no patch of speech; the text is too short for the published limits, "
            "use the default ones",
            reason="NO_AUDIO",
            value="0 patches",
            limit=f"{rules.max_patches} patches",
            remedy="use the default limits",
        )
    return SpeechResult(
        patches=torch.cat(patches),
        conditions=torch.cat(conditions),
        stop_logits=torch.cat(stop_logits),
        embeddings=torch.cat(embeddings) if embeddings else hidden[:0],
        ended=ended,
    )
