"""Everything the engine needs of a checkpoint, as steps over many packed sequences.

One sequence lives as: `prefill` its prompt; then, from the hidden state of its last position, either
choose a token (`logits`) and feed `embed_tokens`, or `sample_patches` and feed `embed_patches`; each
fed embedding goes through `step`. Every method takes any number of sequences, and none of them sees
another's numbers. Host tensors are welcome everywhere; results stay on the model's device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from uniaudio.checkpoint import Checkpoint, CheckpointInfo, read_json
from uniaudio.errors import CheckpointError, InvalidInputError
from uniaudio.llm.config import FlowHeadConfig, LanguageModelConfig, PatchConfig
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.prompt import Prompt
from uniaudio.llm.solver import Observer, SolverOptions, solve
from uniaudio.llm.state_dict_adapter import (
    load_flow_head,
    load_language_model,
    load_pooling,
    load_stop_head,
)
from uniaudio.llm.text_tokenizer import TextTokenizer
from uniaudio.nn.held_experts import ExpertShare
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.semantic import SemanticModule


class Remembered(Protocol):
    """What a stack of layers remembers of one sequence."""

    num_positions: int


class LanguagePart(Protocol):
    """What is needed of a language model; see `LanguageModel`."""

    config: LanguageModelConfig
    word_embeddings: nn.Embedding

    def new_cache(self) -> Any: ...

    def embed(self, token_ids: Tensor) -> Tensor: ...

    def __call__(
        self,
        embeddings: Tensor,
        lengths: Sequence[int],
        caches: Sequence[Any],
        audio_mask: Tensor | None = None,
    ) -> Any: ...

    def logits(self, hidden: Tensor) -> Tensor: ...


class SemanticPart(Protocol):
    """What is needed of a semantic module; see `SemanticModule`."""

    def new_cache(self) -> Any: ...

    def __call__(
        self, latents: Tensor, lengths: Sequence[int], caches: Sequence[Any] | None = None
    ) -> Any: ...


class PoolingPart(Protocol):
    """What is needed of a projector; see `LinearPooling`."""

    def __call__(self, unified_embeddings: Tensor) -> Any: ...


class StopPart(Protocol):
    """What is needed of a stop head; see `StopHead`."""

    def __call__(self, hidden: Tensor) -> Any: ...

    def probability(self, hidden: Tensor) -> Tensor: ...


@dataclass
class SequenceState:
    """What the model remembers of one sequence; whoever runs the sequence holds it."""

    language: Remembered
    semantic: Remembered

    @property
    def num_positions(self) -> int:
        """Positions of the language model that are held."""
        return self.language.num_positions


@dataclass(frozen=True)
class AnySpeechModel:
    """A speech model's steps, whatever its parts are made of.

    `is_batch_invariant` says that a sequence's numbers do not depend on what is computed beside it.
    """

    language_model: LanguagePart
    pooling: PoolingPart
    flow_head: Any
    stop_head: StopPart
    semantic: SemanticPart
    text_tokenizer: TextTokenizer
    patch_config: PatchConfig
    info: CheckpointInfo

    is_batch_invariant: ClassVar[bool] = False

    @property
    def patch_size(self) -> int:
        """Frames of one patch."""
        return self.patch_config.patch_size

    @property
    def latent_dim(self) -> int:
        """Width of latents."""
        return self.patch_config.latent_dim

    @property
    def hidden_size(self) -> int:
        """Width of embeddings and hidden states."""
        return self.language_model.config.hidden_size

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.language_model.word_embeddings.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are stored in."""
        return self.language_model.word_embeddings.weight.dtype

    @property
    def input_dtype(self) -> torch.dtype:
        """What embeddings and latents go in as."""
        return self.dtype

    def new_state(self) -> SequenceState:
        """State of a sequence that has seen nothing."""
        return SequenceState(self.language_model.new_cache(), self.semantic.new_cache())

    @torch.no_grad()
    def prefill(
        self,
        prompts: Sequence[Prompt],
        clips: Sequence[Sequence[Tensor]],
        states: Sequence[SequenceState],
    ) -> Tensor:
        """Hidden state `(B, H)` of every prompt's last position; the states are extended in place.

        `clips` holds, for each prompt, the latents `(num_frames, C)` of its recordings, one per audio
        span; frames beyond the span's whole patches are dropped.
        """
        embeddings = [self.embed_prompt(*row) for row in zip(prompts, clips, states, strict=True)]
        lengths = [len(prompt) for prompt in prompts]
        hidden: Tensor = self.language_model(
            torch.cat(embeddings),
            lengths,
            [state.language for state in states],
            torch.cat([self.audio_mask(prompt) for prompt in prompts]),
        )
        last = torch.tensor(lengths, device=hidden.device).cumsum(0) - 1
        return hidden[last]

    @torch.no_grad()
    def step(self, embeddings: Tensor, states: Sequence[SequenceState]) -> Tensor:
        """Hidden states `(B, H)` after one more embedding `(B, H)` of each sequence."""
        ones = [1] * len(states)
        hidden: Tensor = self.language_model(embeddings, ones, [state.language for state in states])
        return hidden

    @torch.no_grad()
    def logits(self, hidden: Tensor) -> Tensor:
        """Text logits `(B, V)`, float32."""
        return self.language_model.logits(hidden)

    @torch.no_grad()
    def embed_tokens(self, token_ids: Tensor) -> Tensor:
        """Embeddings `(B, H)` of tokens `(B,)`."""
        return self.language_model.embed(token_ids.to(self.device))

    @torch.no_grad()
    def sample_patches(
        self,
        hidden: Tensor,
        history: Tensor,
        initial_noise: Tensor,
        step_noise: Tensor,
        options: SolverOptions | Sequence[SolverOptions] | None = None,
        observe: Observer | None = None,
    ) -> Tensor:
        """The next patch `(B, P, C)`, float32, of every sequence.

        Args:
            hidden: `(B, H)`.
            history: the patches before, `(B, P, C)`; zeros where there is none.
            initial_noise, step_noise: `(B, P, C)` and `(num_steps - 1, B, P, C)`, each row a
                sequence's own.
            options: one, or one per sequence with a common `num_steps`.
        """
        on = self.device
        return self._solve(hidden, history.to(on), initial_noise.to(on), step_noise.to(on), options, observe)

    @torch.no_grad()
    def stop_logits(self, hidden: Tensor) -> Tensor:
        """The stop head's two logits `(B, 2)`, float32."""
        logits: Tensor = self.stop_head(hidden)
        return logits.float()

    @torch.no_grad()
    def stop_probabilities(self, hidden: Tensor) -> Tensor:
        """Probability `(B,)`, float32, that speech ended with the position that gave `hidden` `(B, H)`."""
        return self.stop_head.probability(hidden)

    @torch.no_grad()
    def embed_patches(self, patches: Tensor, states: Sequence[SequenceState]) -> Tensor:
        """Embeddings `(B, H)` of new patches `(B, P, C)`; each continues its sequence's recording."""
        lengths = [patches.shape[1]] * len(states)
        unified = self.semantic(
            patches.flatten(0, 1).to(self.device, self.input_dtype),
            lengths,
            [state.semantic for state in states],
        )
        out: Tensor = self.pooling(unified)
        return out

    @torch.no_grad()
    def embed_latents(self, latents: Tensor, state: SequenceState | None = None) -> Tensor:
        """Embeddings `(N, H)` of a recording's whole patches, from latents `(num_frames, C)`.

        With a state, what is generated later continues this recording.
        """
        unified = self.unify(latents, state)
        out: Tensor = self.pooling(unified)
        return out

    @torch.no_grad()
    def unify(self, latents: Tensor, state: SequenceState | None = None) -> Tensor:
        """Unified embeddings `(N * P, unified_dim)` of a recording's whole patches."""
        num_frames = latents.shape[0] // self.patch_size * self.patch_size
        kept = latents[:num_frames].to(self.device, self.input_dtype)
        out: Tensor = self.semantic(kept, [num_frames], None if state is None else [state.semantic])
        return out

    @torch.no_grad()
    def embed_prompt(self, prompt: Prompt, clips: Sequence[Tensor], state: SequenceState | None) -> Tensor:
        """Embeddings `(L, H)` of a prompt, its spans filled from the clips' latents `(num_frames, C)`.

        Several clips are separate recordings, so only a single one is remembered in the state.
        """
        if len(clips) != len(prompt.audio_spans):
            raise InvalidInputError(
                f"the prompt has room for {len(prompt.audio_spans)} recordings, {len(clips)} are given",
                value=len(clips),
                limit=len(prompt.audio_spans),
                remedy="give one recording for each place",
            )
        embeddings = self.embed_tokens(torch.tensor(prompt.token_ids))
        for span, latents in zip(prompt.audio_spans, clips, strict=True):
            needed = span.num_patches * self.patch_size
            if latents.shape[0] < needed:
                raise InvalidInputError(
                    f"a recording has {latents.shape[0]} frames, its place in the prompt needs {needed}",
                    value=f"{latents.shape[0]} frames",
                    limit=f"{needed} frames",
                    remedy="send the whole recording",
                )
            if span.num_patches:
                audio = self.embed_latents(latents[:needed], state if len(clips) == 1 else None)
                embeddings[span.start : span.start + span.num_patches] = audio
        return embeddings

    def audio_mask(self, prompt: Prompt) -> Tensor:
        """`(L,)`, bool: the positions that the audio router serves."""
        mask = torch.zeros(len(prompt), dtype=torch.bool)
        if prompt.audio_router:
            for span in prompt.audio_spans:
                mask[span.start : span.start + span.num_patches] = True
        return mask.to(self.device)

    def _solve(
        self,
        hidden: Tensor,
        history: Tensor,
        initial_noise: Tensor,
        step_noise: Tensor,
        options: SolverOptions | Sequence[SolverOptions] | None,
        observe: Observer | None,
    ) -> Tensor:
        out: Tensor = self.flow_head.solve(hidden, history, initial_noise, step_noise, options, observe)
        return out


@dataclass(frozen=True)
class SpeechModel(AnySpeechModel):
    """Language model, projector, flow head, stop head, semantic module and text tokenizer, as modules."""

    language_model: LanguageModel
    pooling: LinearPooling
    flow_head: FlowHead
    stop_head: StopHead
    semantic: SemanticModule

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: Checkpoint,
        *,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        share: ExpertShare | None = None,
    ) -> SpeechModel:
        """Loads one tensor at a time; CheckpointError names what is missing or disagrees.

        With a `share`, other ranks hold the language model's other experts.
        """
        patch_config = read_patch_config(checkpoint)
        language_model = load_language_model(checkpoint, dtype=dtype, device=device, share=share)
        hidden_size = language_model.config.hidden_size
        flow_config = FlowHeadConfig.from_config(
            checkpoint.config,
            latent_dim=patch_config.latent_dim,
            patch_size=patch_config.patch_size,
            condition_dim=hidden_size,
        )
        text_tokenizer = TextTokenizer.from_directory(checkpoint.directory)
        if text_tokenizer.num_ids > language_model.config.vocab_size:
            raise CheckpointError(
                f"tokenizer.json has {text_tokenizer.num_ids} ids, the model's vocabulary only "
                f"{language_model.config.vocab_size} rows; take both from one checkpoint"
            )
        tokenizer = AudioTokenizer.from_checkpoint(
            checkpoint, parts=("semantic",), dtype=dtype, device=device
        )
        return cls(
            language_model=language_model,
            pooling=load_pooling(
                checkpoint,
                unified_dim=patch_config.unified_dim,
                hidden_size=hidden_size,
                patch_size=patch_config.patch_size,
                dtype=dtype,
                device=device,
            ),
            flow_head=load_flow_head(checkpoint, flow_config, dtype=dtype, device=device),
            stop_head=load_stop_head(checkpoint, hidden_size=hidden_size, dtype=dtype, device=device),
            semantic=tokenizer.semantic,
            text_tokenizer=text_tokenizer,
            patch_config=patch_config,
            info=checkpoint.info,
        )

    def _solve(
        self,
        hidden: Tensor,
        history: Tensor,
        initial_noise: Tensor,
        step_noise: Tensor,
        options: SolverOptions | Sequence[SolverOptions] | None,
        observe: Observer | None,
    ) -> Tensor:
        return solve(self.flow_head, hidden, history, initial_noise, step_noise, options, observe)


def read_patch_config(checkpoint: Checkpoint) -> PatchConfig:
    """How the checkpoint cuts audio; `preprocessor_config.json` is optional beside the weights."""
    path = checkpoint.directory / "preprocessor_config.json"
    return PatchConfig.from_config(checkpoint.config, read_json(path) if path.is_file() else None)
