"""One step of all running sequences on the model: the only place that moves data to and from the device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass

import torch
from torch import Tensor

from uniaudio.engine.request import Edit, GenerationRequest, Speak, Understand
from uniaudio.engine.sequence import (
    PatchMade,
    Phase,
    Sequence,
    SpeechEnded,
    StepResult,
    TokenMade,
    Vocabulary,
)
from uniaudio.engine.speech_model import AnySpeechModel, SequenceState
from uniaudio.llm.prompt import Prompt, edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.solver import SolverOptions


@dataclass
class RunningState:
    """What the model holds for one sequence.

    `pending` `(n, H)` goes into the next step: the whole prompt first, then one embedding at a time.
    It is None while `token_id` or `patch` `(P, C)`, made by the step before, still has to be embedded;
    so what a sequence makes last is never embedded in vain.
    """

    model: SequenceState
    pending: Tensor | None
    audio_mask: Tensor | None
    history: Tensor
    token_id: int | None = None
    patch: Tensor | None = None


class ModelRunner:
    """Steps sequences of a speech model together; used by the engine's stepping thread alone."""

    def __init__(self, model: AnySpeechModel, *, reproducible: bool = False) -> None:
        self._model = model
        self._one_by_one = reproducible and not model.is_batch_invariant
        tokenizer = model.text_tokenizer
        self.latent_dim = model.latent_dim
        self.patch_size = model.patch_size
        self.frame_rate = model.patch_config.sample_rate / model.patch_config.hop_length
        self.vocabulary = Vocabulary(
            end_id=tokenizer.end_id,
            gen_audio_id=tokenizer.gen_audio_id,
            decode=lambda ids, skip_special: tokenizer.decode(ids, skip_special=skip_special),
        )

    def prompt(self, request: GenerationRequest) -> tuple[Prompt, int]:
        """The tokenised prompt and its length; touches no tensor, so any thread may call it."""
        tokenizer = self._model.text_tokenizer
        num_patches = 0 if request.latents is None else request.latents.shape[0] // self.patch_size
        match request.task:
            case Understand() as task:
                prompt = understanding_prompt(
                    tokenizer, num_patches, context_phrases=task.context_phrases, language=task.language
                )
            case Speak() as task:
                prompt = speak_prompt(
                    tokenizer, task.text, prompt_text=task.prompt_text, num_patches=num_patches
                )
            case Edit() as task:
                prompt = edit_prompt(tokenizer, task.instruction, num_patches, reasoning=task.reasoning)
        return prompt, len(prompt)

    @torch.no_grad()
    def start(self, sequence: Sequence) -> None:
        """Embeds the sequence's prompt; the next step prefills it."""
        model, prompt, latents = self._model, sequence.prompt, sequence.request.latents
        state = model.new_state()
        clips = [latents] if latents is not None and prompt.audio_spans else []
        # What is generated continues the recording, except after mere listening.
        remembering = None if isinstance(sequence.request.task, Understand) else state
        history = torch.zeros(self.patch_size, self.latent_dim, device=model.device)
        if isinstance(sequence.request.task, Speak) and clips:
            end = prompt.num_audio_patches * self.patch_size
            history = clips[0][end - self.patch_size : end].to(model.device, torch.float32)
        sequence.model_state = RunningState(
            model=state,
            pending=model.embed_prompt(prompt, clips, remembering),
            audio_mask=model.audio_mask(prompt) if prompt.audio_router else None,
            history=history,
        )

    @torch.no_grad()
    def step(self, sequences: SequenceOf[Sequence]) -> list[StepResult | Exception]:
        """One token or patch of every sequence, prefilling those that are new."""
        if self._one_by_one:
            # Matrix products round a row differently with the number of rows beside it.
            return [result for sequence in sequences for result in self._step_packed([sequence])]
        return self._step_packed(sequences)

    def _step_packed(self, sequences: SequenceOf[Sequence]) -> list[StepResult | Exception]:
        self._embed_what_was_made([sequence.model_state for sequence in sequences])
        hidden = self._forward([sequence.model_state for sequence in sequences])
        results: list[StepResult | Exception | None] = [None] * len(sequences)
        self._choose_tokens(sequences, hidden, results)
        self._make_patches(sequences, hidden, results)
        return [result for result in results if result is not None]

    def _embed_what_was_made(self, states: SequenceOf[RunningState]) -> None:
        wrote = [state for state in states if state.token_id is not None]
        if wrote:
            ids = torch.tensor([state.token_id for state in wrote])
            for state, embedding in zip(wrote, self._model.embed_tokens(ids), strict=True):
                state.pending, state.token_id = embedding[None], None
        spoke = [state for state in states if state.patch is not None]
        if spoke:
            patches = torch.stack([state.history for state in spoke])
            embeddings = self._model.embed_patches(patches, [state.model for state in spoke])
            for state, embedding in zip(spoke, embeddings, strict=True):
                state.pending, state.patch = embedding[None], None

    def _forward(self, states: SequenceOf[RunningState]) -> Tensor:
        """Hidden states `(B, H)` of every sequence's newest position, from one packed pass."""
        pending = []
        for state in states:
            assert state.pending is not None
            pending.append(state.pending)
        lengths = [part.shape[0] for part in pending]
        mask = None
        if any(state.audio_mask is not None for state in states):
            mask = torch.cat(
                [
                    torch.zeros(length, dtype=torch.bool, device=self._model.device)
                    if state.audio_mask is None
                    else state.audio_mask
                    for state, length in zip(states, lengths, strict=True)
                ]
            )
        caches = [state.model.language for state in states]
        hidden: Tensor = self._model.language_model(torch.cat(pending), lengths, caches, mask)
        for state in states:
            state.pending = state.audio_mask = None
        return hidden[torch.tensor(lengths, device=hidden.device).cumsum(0) - 1]

    def _choose_tokens(
        self,
        sequences: SequenceOf[Sequence],
        hidden: Tensor,
        results: list[StepResult | Exception | None],
    ) -> None:
        rows = [row for row, sequence in enumerate(sequences) if sequence.phase is Phase.TEXT]
        if not rows:
            return
        for row, token_id in zip(rows, self._model.logits(hidden[rows]).argmax(-1).tolist(), strict=True):
            chosen = sequences[row].choose_token(token_id)
            sequences[row].model_state.token_id = chosen
            results[row] = TokenMade(chosen)

    def _make_patches(
        self,
        sequences: SequenceOf[Sequence],
        hidden: Tensor,
        results: list[StepResult | Exception | None],
    ) -> None:
        rows = [row for row, sequence in enumerate(sequences) if sequence.phase is Phase.AUDIO]
        if not rows:
            return
        stops = dict(zip(rows, self._model.stop_probabilities(hidden[rows]).tolist(), strict=True))
        # The solver takes rows of one number of steps at a time.
        groups: dict[int, list[tuple[int, Tensor, Tensor]]] = defaultdict(list)
        for row in rows:
            made = sequences[row].next_made_patch()
            if made is None and sequences[row].stops_before_patch(stops[row]):
                results[row] = SpeechEnded(stops[row])
                continue
            num_steps = sequences[row].request.sampling.num_solver_steps
            try:
                initial, steps = sequences[row].noise.next_patch(num_steps, self.patch_size, self.latent_dim)
            except Exception as error:  # noqa: BLE001 - a caller's noise source fails its request alone
                results[row] = error
                continue
            if made is not None:  # its noise is drawn all the same: the next patch gets its own
                state = sequences[row].model_state
                state.patch = state.history = made.to(self._model.device, torch.float32)
                results[row] = PatchMade(made.to("cpu", torch.float32, copy=True), stops[row])
                continue
            groups[num_steps].append((row, initial, steps))
        for group in groups.values():
            group_rows = [row for row, _, _ in group]
            states = [sequences[row].model_state for row in group_rows]
            patches = self._model.sample_patches(
                hidden[group_rows],
                torch.stack([state.history for state in states]),
                torch.stack([initial for _, initial, _ in group]),
                torch.stack([steps for _, _, steps in group], 1),
                [_solver_options(sequences[row]) for row in group_rows],
            )
            on_host = patches.float().cpu()
            for index, (row, state) in enumerate(zip(group_rows, states, strict=True)):
                state.patch = state.history = patches[index]
                results[row] = PatchMade(on_host[index].clone(), stops[row])


def _solver_options(sequence: Sequence) -> SolverOptions:
    sampling = sequence.request.sampling
    return SolverOptions(
        guidance_scale=sampling.guidance_scale,
        num_steps=sampling.num_solver_steps,
        sigma=sampling.sigma,
        temperature=sampling.temperature,
    )
