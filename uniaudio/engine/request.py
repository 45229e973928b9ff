"""What a caller asks of the engine, and the checks that happen before anything is queued."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import IntEnum

import torch
from torch import Tensor

from uniaudio.checkpoint import CheckpointInfo
from uniaudio.editing.mark import EditMark
from uniaudio.engine.noise import NoiseSource
from uniaudio.errors import CheckpointError, InvalidInputError, LimitExceededError

MAX_TOKENS = 4096
MAX_GUIDANCE_SCALE = 20.0
MAX_SOLVER_STEPS = 64
MAX_TEMPERATURE = 4.0
PRECISIONS = ("float32", "bfloat16", "int8")


@dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How the flow head samples (model specification 4.3 to 4.6).

    Attributes:
        guidance_scale: g in `v_uncond + g (v_cond - v_uncond)`, 1 to 20; 1 evaluates the condition alone.
        num_solver_steps: steps of the solver, 1 to 64.
        temperature: noise added while solving, 0 to 4; 0 makes the solver deterministic.
        sigma: scale of that noise.
        seed: of all noise of the request, 0 to 2**64 - 1.
    """

    guidance_scale: float = 3.0
    num_solver_steps: int = 10
    temperature: float = 1.5
    sigma: float = 0.25
    seed: int = 0

    @classmethod
    def preferred_by(cls, info: CheckpointInfo) -> SamplingOptions:
        """What a checkpoint speaks best with; raises CheckpointError where it asks for what there is not."""
        known = {"guidance_scale", "num_solver_steps", "temperature", "sigma"}
        if unknown := sorted(set(info.sampling) - known):
            raise CheckpointError(
                f'config.json: "uniaudio.sampling" names {unknown[0]!r}; there are {sorted(known)}',
                key="uniaudio.sampling",
            )
        try:
            return cls(**info.sampling)  # type: ignore[arg-type]
        except (InvalidInputError, TypeError) as error:
            raise CheckpointError(
                f'config.json: "uniaudio.sampling": {error}', key="uniaudio.sampling"
            ) from error

    def __post_init__(self) -> None:
        _check_range("guidance_scale", self.guidance_scale, 1.0, MAX_GUIDANCE_SCALE)
        _check_range("num_solver_steps", self.num_solver_steps, 1, MAX_SOLVER_STEPS)
        _check_range("temperature", self.temperature, 0.0, MAX_TEMPERATURE)
        _check_range("sigma", self.sigma, 0.0, 1.0)
        _check_range("seed", self.seed, 0, 2**64 - 1)


@dataclass(frozen=True, kw_only=True)
class Understand:
    """Recording to text (6.3). `language`, e.g. "Chinese", is forced; empty lets the model say.

    `max_tokens` of None comes from the recording's length.
    """

    context_phrases: tuple[str, ...] = ()
    language: str = ""
    max_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class Speak:
    """Text to speech (6.4); the latents are the prompt voice and may have no frames.

    `min_patches` and `max_patches` of None come from the text's length. `drop_surplus_patch` hears
    the stop head before a patch is sampled, not after it; None takes the engine's default. What was
    computed of a `known_voice`, which will be asked for again, is kept longer.
    """

    text: str
    prompt_text: str = ""
    min_patches: int | None = None
    max_patches: int | None = None
    drop_surplus_patch: bool | None = None
    known_voice: bool = False


@dataclass(frozen=True, kw_only=True)
class Edit:
    """Recording and instruction to text and speech (6.5); the latents are the source.

    `reasoning` lets the model write the edited text first; `max_tokens` bounds that text. With a `mark` it
    writes nothing and speaks by that. The result begins with `kept_frames` of the source, in whole patches.
    """

    instruction: str
    reasoning: bool = False
    mark: EditMark | None = None
    kept_frames: int = 0
    min_patches: int | None = None
    max_patches: int | None = None
    max_tokens: int | None = None
    drop_surplus_patch: bool | None = None


@dataclass(frozen=True, kw_only=True)
class Follow:
    """Recording and its words to when each letter is spoken; for models that name letters.

    Before each patch the model says how likely that patch speaks each character of `text`.
    """

    text: str


Task = Understand | Speak | Edit | Follow


class Priority(IntEnum):
    """Who goes first: somebody listens to LIVE ones, BATCH ones take what is left."""

    LIVE = 0
    BATCH = 1


@dataclass(frozen=True, kw_only=True)
class GenerationRequest:
    """One generation.

    Attributes:
        request_id: unique among the requests that are queued or running.
        task: what to do.
        latents: the recording, `(num_frames, latent_dim)`, or None where the task needs none.
        sampling: how the flow head samples.
        deadline_seconds: from submission; None takes the engine's own limit.
        noise: replaces the seed's noise, for golden tests.
        made_patches: the first patches of this very request, `(n, P, C)`, made by a run that was
            interrupted. They are taken instead of sampled, so that the rest comes out as it would have.
        priority: who goes first.
    """

    request_id: str
    task: Task
    latents: Tensor | None = None
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    deadline_seconds: float | None = None
    noise: NoiseSource | None = None
    made_patches: Tensor | None = None
    priority: Priority = Priority.LIVE


_AT_LEAST_ONE = (
    "max_running",
    "max_waiting",
    "max_kv_positions",
    "max_step_positions",
    "max_step_positions_beside_speech",
    "max_frames",
    "max_text_characters",
)


@dataclass(frozen=True, kw_only=True)
class EngineConfig:
    """How much the engine takes on.

    Attributes:
        max_running: sequences stepped together.
        max_waiting: requests queued behind them; one more is refused with `QueueFullError`.
        max_kv_positions: LLM positions that all running sequences together may hold, in blocks of 16. A
            request that could ever need more by itself is refused; where running ones come to need more
            together, the last come of the lowest priority loses its blocks, and later goes on as it was.
        max_step_positions: LLM positions of one step; what is left of it beside running sequences goes
            to the reading of prompts.
        max_step_positions_beside_speech: the same while somebody listens, who must not wait for it.
        max_lead_seconds: a stream so far ahead of its listener yields to one that is behind.
        batch_patience_seconds: a batch request that came so long ago counts as live, so that it is served.
        max_kept_positions: positions of prompts kept for later ones that begin alike.
        max_kept_patches: patches of recordings kept for later requests with the same recording.
        max_frames: latent frames, source and output together, of one request. The published
            semantic module was made for 4096 (81.92 s).
        max_text_characters: of any one text of a request; a hundred context phrases of a hundred fit.
        max_deadline_seconds: longest a request may take, queueing included; also the default.
        drop_surplus_patch: the published model makes one patch after the end of speech; True drops it.
        force_audio: an edit without reasoning whose text budget ended starts to speak anyway, because
            the only right text is then the token that opens the speech; False fails it.
        reproducible: a seed gives the same bits alone and in company. The CPU kernels do so always, at
            no cost; plain modules then compute a step's sequences one by one instead of in one pass.
        precision: what the CPU kernels hold weights in; None takes the model's own type.
        use_kernels: run a plain model on a CPU by the compiled kernels, where they can be built.
    """

    max_running: int = 8
    max_waiting: int = 32
    max_kv_positions: int = 65_536
    max_step_positions: int = 512
    max_step_positions_beside_speech: int = 64
    max_lead_seconds: float = 1.0
    batch_patience_seconds: float = 60.0
    max_kept_positions: int = 8192
    max_kept_patches: int = 1024
    max_frames: int = 4096
    max_text_characters: int = 12_000
    max_deadline_seconds: float = 300.0
    drop_surplus_patch: bool = True
    force_audio: bool = True
    reproducible: bool = False
    precision: str | None = None
    use_kernels: bool = True

    def __post_init__(self) -> None:
        for name in _AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.precision not in (None, *PRECISIONS):
            raise ValueError(f"precision is {self.precision!r}; it must be one of {PRECISIONS}")
        if self.precision == "int8" and not self.use_kernels:
            raise ValueError("precision int8 needs the CPU kernels; leave use_kernels on")
        if not self.max_deadline_seconds > 0:
            raise ValueError(f"max_deadline_seconds is {self.max_deadline_seconds}; it must be above 0")


def check_request(
    request: GenerationRequest, config: EngineConfig, *, latent_dim: int, patch_size: int
) -> None:
    """Refuses what can never work: `InvalidInputError` or `LimitExceededError` with the remedy."""
    if not request.request_id:
        raise InvalidInputError(
            "request_id is empty; give every request its own",
            field="request_id",
            value="0 characters",
            limit="at least 1 character",
            remedy="give every request its own",
        )
    if request.deadline_seconds is not None and not 0 < request.deadline_seconds < math.inf:
        raise InvalidInputError(
            f"deadline_seconds is {request.deadline_seconds}; it must be above 0",
            field="deadline_seconds",
            value=request.deadline_seconds,
            limit="above 0",
            remedy="allow more time",
        )
    _check_texts(request.task, config)
    _check_latents(request, config, latent_dim, patch_size)
    _check_made_patches(request, config, latent_dim, patch_size)


def _check_texts(task: Task, config: EngineConfig) -> None:
    match task:
        case Understand():
            if task.max_tokens is not None:
                _check_range("max_tokens", task.max_tokens, 1, MAX_TOKENS)
            _check_length("context_phrases", ",".join(task.context_phrases), config.max_text_characters)
            _check_length("language", task.language, 64)
        case Speak():
            _check_not_empty("text", task.text)
            _check_length("text", task.text, config.max_text_characters)
            _check_length("prompt_text", task.prompt_text, config.max_text_characters)
        case Follow():
            _check_not_empty("text", task.text)
            _check_length("text", task.text, config.max_text_characters)
        case Edit():
            _check_not_empty("instruction", task.instruction)
            _check_length("instruction", task.instruction, config.max_text_characters)
            if task.mark is not None:
                _check_length("mark", task.mark.before + task.mark.after, config.max_text_characters)
            if task.max_tokens is not None:
                _check_range("max_tokens", task.max_tokens, 1, MAX_TOKENS)
    if isinstance(task, (Speak, Edit)):
        for name in ("min_patches", "max_patches"):
            value = getattr(task, name)
            if value is not None and value < 1:
                _check_range(name, value, 1, math.inf)
        if task.min_patches is not None and task.max_patches is not None:
            _check_range("min_patches", task.min_patches, 1, task.max_patches)


def _check_latents(
    request: GenerationRequest, config: EngineConfig, latent_dim: int, patch_size: int
) -> None:
    latents = request.latents
    num_frames = 0 if latents is None else latents.shape[0]
    if latents is not None:
        if latents.ndim != 2 or latents.shape[1] != latent_dim:
            raise InvalidInputError(
                f"latents have shape {tuple(latents.shape)}, this model needs (num_frames, {latent_dim}); "
                "encode the recording with the tokenizer of the same checkpoint",
                field="latents",
                value=tuple(latents.shape),
                limit=f"(num_frames, {latent_dim})",
                remedy="encode the recording with the tokenizer of the same checkpoint",
                latent_dim=latent_dim,
            )
        if not bool(torch.isfinite(latents).all()):
            raise InvalidInputError(
                "latents hold NaN or infinity; encode a recording of finite samples",
                field="latents",
                value="NaN or infinity",
                limit="finite numbers",
                remedy="encode a recording of finite samples",
            )
    if not isinstance(request.task, Speak) and num_frames < patch_size:
        raise InvalidInputError(
            f"the recording has {num_frames} frames of 20 ms; it must have at least {patch_size}",
            field="latents",
            value=f"{num_frames} frames",
            limit=f"at least {patch_size} frames",
            remedy="send a longer recording",
            min_frames=patch_size,
        )
    if isinstance(request.task, Edit):
        _check_range("kept_frames", request.task.kept_frames, 0, num_frames)
    if num_frames > config.max_frames:
        raise LimitExceededError(
            f"the recording has {num_frames} frames; the limit is {config.max_frames}, "
            "what is generated included: split it into shorter windows",
            field="latents",
            value=f"{num_frames} frames",
            limit=f"{config.max_frames} frames",
            remedy="split it into shorter windows",
            max_frames=config.max_frames,
        )


def _check_made_patches(
    request: GenerationRequest, config: EngineConfig, latent_dim: int, patch_size: int
) -> None:
    made = request.made_patches
    if made is None:
        return
    limit = (config.max_frames // patch_size, patch_size, latent_dim)
    fits = made.ndim == 3 and made.shape[0] <= limit[0] and tuple(made.shape[1:]) == limit[1:]
    if not fits or not bool(torch.isfinite(made).all()):
        raise InvalidInputError(
            f"the patches made before have shape {tuple(made.shape)} and must be finite; at most {limit} is "
            "allowed: send what this model made for the same request, or nothing",
            field="made_patches",
            value=tuple(made.shape),
            limit=f"at most {limit}, finite",
            remedy="send what this model made for the same request, or nothing",
        )


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        allowed = f"at least {low}" if high == math.inf else f"{low} to {high}"
        raise InvalidInputError(
            f"{name} is {value}; it must be {allowed}",
            field=name,
            value=value,
            limit=allowed,
            remedy="choose a value inside",
        )


def _check_not_empty(name: str, text: str) -> None:
    if not text.strip():
        raise InvalidInputError(
            f"{name} is empty; say what to speak or change",
            field=name,
            value="0 characters",
            limit="at least 1 character",
            remedy="say what to speak or change",
        )


def _check_length(name: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise LimitExceededError(
            f"{name} has {len(text)} characters; the limit is {limit}: split it into shorter requests",
            field=name,
            value=f"{len(text)} characters",
            limit=f"{limit} characters",
            remedy="split it into shorter requests",
            max_characters=limit,
        )
