"""One step of all running sequences on the model: the only place that moves data to and from the device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence as SequenceOf

import torch
from torch import Tensor

from uniaudio.engine.memory import (
    HeardRecording,
    PrefixMemory,
    RecordingMemory,
    block_keys,
    content_of,
)
from uniaudio.engine.packed_model import PackedSpeechModel
from uniaudio.engine.paged_model import PagedSpeechModel
from uniaudio.engine.reading import read_pieces
from uniaudio.engine.request import (
    Edit,
    EngineConfig,
    Follow,
    GenerationRequest,
    SamplingOptions,
    Speak,
    Understand,
)
from uniaudio.engine.running import RunningState
from uniaudio.engine.sequence import (
    PatchFollowed,
    PatchMade,
    Phase,
    PromptRead,
    Sequence,
    SpeechEnded,
    StepResult,
    TokenMade,
    Vocabulary,
)
from uniaudio.engine.speech_model import AnySpeechModel
from uniaudio.errors import InvalidInputError
from uniaudio.llm.prompt import Prompt, edit_prompt, speak_prompt, understanding_prompt
from uniaudio.llm.solver import SolverOptions
from uniaudio.nn.native.cache import PackedCache
from uniaudio.nn.native.pool import BLOCK_SIZE

Results = list[StepResult | Exception | None]


class ModelRunner:
    """Steps sequences of a speech model together; used by the engine's stepping thread alone."""

    def __init__(self, model: AnySpeechModel, config: EngineConfig | None = None) -> None:
        config = config or EngineConfig()
        self._model = model
        self._one_by_one = config.reproducible and not model.is_batch_invariant
        tokenizer = model.text_tokenizer
        self.latent_dim = model.latent_dim
        self.preferred_sampling = SamplingOptions.preferred_by(model.info)
        self.patch_size = model.patch_size
        self.frame_rate = model.patch_config.sample_rate / model.patch_config.hop_length
        self.vocabulary = Vocabulary(
            end_id=tokenizer.end_id,
            gen_audio_id=tokenizer.gen_audio_id,
            decode=lambda ids, skip_special: tokenizer.decode(ids, skip_special=skip_special),
        )
        self.prefixes: PrefixMemory | None = None
        semantic_pool = None
        if isinstance(model, PackedSpeechModel | PagedSpeechModel):
            self.prefixes = PrefixMemory(model.language_model.pool, config.max_kept_positions // BLOCK_SIZE)
            # What is kept for later gives way to what runs.
            model.language_model.pool.reclaim = self.prefixes.forget
            semantic_pool = model.semantic.pool
        # Without blocks to take over, a recording would have to be heard again anyway.
        max_patches = 0 if semantic_pool is None else config.max_kept_patches
        self.recordings = RecordingMemory(semantic_pool, max_patches)

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
                prompt = edit_prompt(
                    tokenizer, task.instruction, num_patches, reasoning=task.reasoning, mark=task.mark
                )
            case Follow() as task:
                self._check_names_letters()
                prompt = speak_prompt(tokenizer, task.text)
        return prompt, len(prompt)

    def _check_names_letters(self) -> None:
        if not self._model.info.names_letters:
            raise InvalidInputError(
                f"the model {self._model.info.name!r} does not name the letters that it speaks, so it cannot follow "
                "a recording; its makers have to train it to, and to say so in its config.json",
                reason="NOT_SUPPORTED",
                value=self._model.info.name,
                limit="a model that names letters",
                remedy="ask a model that does, such as nano",
            )

    @torch.no_grad()
    def start(self, sequence: Sequence) -> None:
        """Prepares the sequence's state, from where others have read the same; nothing is computed.

        A sequence that lost its state goes on from what it had made.
        """
        model, prompt = self._model, sequence.prompt
        recording = self._recording(sequence)
        content = content_of(recording) if len(recording) else b""
        history = torch.zeros(self.patch_size, self.latent_dim, device=model.device)
        task, tokenizer = sequence.request.task, model.text_tokenizer
        is_known_voice = isinstance(task, Speak) and task.known_voice
        if isinstance(task, Speak) and len(recording):
            history = recording[-self.patch_size :].to(model.device, torch.float32)
        patches = [patch.to(model.device, torch.float32) for patch in sequence.made_patches]
        state = RunningState(
            model=model.new_state(),
            prompt=prompt,
            recording=recording,
            content=content,
            keys=[] if self.prefixes is None else block_keys(prompt, content),
            history=patches[-1] if patches else history,
            heard=self.recordings.find(content, is_known_voice=is_known_voice) if content else None,
            is_known_voice=is_known_voice,
            tokens=list(sequence.made_tokens),
            patches=patches,
            letters=[tokenizer.encode(char.lower())[0] for char in task.text]
            if isinstance(task, Follow)
            else [],
        )
        self._remember(state)
        sequence.model_state = state

    def _recording(self, sequence: Sequence) -> Tensor:
        """The request's latents that the prompt has places for."""
        num_frames = sequence.prompt.num_audio_patches * self.patch_size
        latents = sequence.request.latents
        if num_frames == 0 or latents is None:
            return torch.zeros(0, self.latent_dim)
        if latents.shape[0] < num_frames:
            raise InvalidInputError(
                f"the recording has {latents.shape[0]} frames, its place in the prompt needs {num_frames}",
                value=f"{latents.shape[0]} frames",
                limit=f"{num_frames} frames",
                remedy="send the whole recording",
            )
        return latents[:num_frames]

    def _remember(self, state: RunningState) -> None:
        """Begins with the blocks that others have left of this prompt and of this recording."""
        language, semantic = state.model.language, state.model.semantic
        if self.prefixes is not None and isinstance(language, PackedCache):
            # The last position is read anew: what it leads to is to be known.
            found = self.prefixes.find(state.keys[: (state.num_positions - 1) // BLOCK_SIZE])
            language.adopt(found)
            state.num_read = language.num_positions
        if state.heard is not None and isinstance(semantic, PackedCache):
            semantic.adopt(list(state.heard.blocks))
            state.num_heard = semantic.num_positions

    @torch.no_grad()
    def step(self, sequences: SequenceOf[Sequence]) -> list[StepResult | Exception]:
        """One token or patch of every sequence, or the next share of what it still has to read."""
        if self._one_by_one:
            # Matrix products of plain modules round a row differently with the number of rows beside it.
            return [result for sequence in sequences for result in self._step_packed([sequence])]
        return self._step_packed(sequences)

    def _step_packed(self, sequences: SequenceOf[Sequence]) -> list[StepResult | Exception]:
        states: list[RunningState] = [sequence.model_state for sequence in sequences]
        hidden = read_pieces(self._model, states, [sequence.share for sequence in sequences])
        for state in states:
            self._keep(state)
        results: Results = [
            PromptRead(state.num_read) if state.num_read < state.num_positions else None for state in states
        ]
        self._choose_tokens(sequences, hidden, results)
        self._follow(sequences, hidden, results)
        self._make_patches(sequences, hidden, results)
        return [result for result in results if result is not None]

    def _keep(self, state: RunningState) -> None:
        """Once the prompt is read: leaves for others what they may have in common with it."""
        if not state.has_read_prompt or not (state.keys or state.content):
            return
        language, semantic = state.model.language, state.model.semantic
        if self.prefixes is not None and isinstance(language, PackedCache):
            self.prefixes.keep(state.keys, language.blocks[: len(state.keys)])
        if state.content and state.heard is None:
            embeddings = torch.cat(state.embeddings) if state.embeddings else torch.zeros(0)
            if len(embeddings) == state.prompt.num_audio_patches:
                blocks = (
                    semantic.blocks[: len(state.recording) // BLOCK_SIZE]
                    if isinstance(semantic, PackedCache)
                    else []
                )
                heard = HeardRecording(embeddings, tuple(blocks))
                self.recordings.keep(state.content, heard, is_known_voice=state.is_known_voice)
        state.keys, state.content, state.embeddings = [], b"", []

    def _choose_tokens(self, sequences: SequenceOf[Sequence], hidden: Tensor, results: Results) -> None:
        rows = [
            row
            for row, sequence in enumerate(sequences)
            if results[row] is None and sequence.phase is Phase.TEXT
        ]
        if not rows:
            return
        for row, token_id in zip(rows, self._model.logits(hidden[rows]).argmax(-1).tolist(), strict=True):
            chosen = sequences[row].choose_token(token_id)
            sequences[row].model_state.tokens.append(chosen)
            results[row] = TokenMade(chosen)

    def _follow(self, sequences: SequenceOf[Sequence], hidden: Tensor, results: Results) -> None:
        """The next patch of recordings that are followed, after what the model expects of it."""
        rows = [
            row
            for row, sequence in enumerate(sequences)
            if results[row] is None and isinstance(sequence.request.task, Follow)
        ]
        if not rows:
            return
        expected = self._model.logits(hidden[rows]).float().log_softmax(-1).cpu()
        for row, of_all_tokens in zip(rows, expected, strict=True):
            sequence, state = sequences[row], sequences[row].model_state
            assert sequence.request.latents is not None, "the request was checked"
            start = sequence.num_patches * self.patch_size
            patch = sequence.request.latents[start : start + self.patch_size].to(torch.float32)
            _take_patch(state, patch.to(self._model.device))
            results[row] = PatchFollowed(patch.to("cpu", copy=True), of_all_tokens[state.letters])

    def _make_patches(self, sequences: SequenceOf[Sequence], hidden: Tensor, results: Results) -> None:
        rows = [
            row
            for row, sequence in enumerate(sequences)
            if results[row] is None and sequence.phase is Phase.AUDIO
        ]
        if not rows:
            return
        stops = dict(zip(rows, self._model.stop_probabilities(hidden[rows]).tolist(), strict=True))
        # The solver takes rows of one number of steps at a time.
        groups: dict[int, list[tuple[int, Tensor, Tensor]]] = defaultdict(list)
        for row in rows:
            made = self._kept_patch(sequences[row])
            if made is None:
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
                _take_patch(sequences[row].model_state, made.to(self._model.device, torch.float32))
                results[row] = PatchMade(made.to("cpu", torch.float32, copy=True), stops[row])
                continue
            groups[num_steps].append((row, initial, steps))
        for group in groups.values():
            self._solve(sequences, hidden, group, stops, results)

    def _kept_patch(self, sequence: Sequence) -> Tensor | None:
        """The next patch `(P, C)` of an edit where that is still the source's own."""
        task, index, size = sequence.request.task, sequence.num_patches, self.patch_size
        if not isinstance(task, Edit) or (index + 1) * size > task.kept_frames:
            return None
        recording: Tensor = sequence.model_state.recording
        return recording[index * size : (index + 1) * size]

    def _solve(
        self,
        sequences: SequenceOf[Sequence],
        hidden: Tensor,
        group: list[tuple[int, Tensor, Tensor]],
        stops: dict[int, float],
        results: Results,
    ) -> None:
        """Patches of the sequences in the group: rows with their noise, of one number of solver steps."""
        rows = [row for row, _, _ in group]
        states = [sequences[row].model_state for row in rows]
        patches = self._model.sample_patches(
            hidden[rows],
            torch.stack([state.history for state in states]),
            torch.stack([initial for _, initial, _ in group]),
            torch.stack([steps for _, _, steps in group], 1),
            [_solver_options(sequences[row]) for row in rows],
        )
        on_host = patches.float().cpu()
        for index, (row, state) in enumerate(zip(rows, states, strict=True)):
            _take_patch(state, patches[index])
            results[row] = PatchMade(on_host[index].clone(), stops[row])


def _take_patch(state: RunningState, patch: Tensor) -> None:
    state.patches.append(patch)
    state.history = patch


def _solver_options(sequence: Sequence) -> SolverOptions:
    sampling = sequence.request.sampling
    return SolverOptions(
        guidance_scale=sampling.guidance_scale,
        num_steps=sampling.num_solver_steps,
        sigma=sampling.sigma,
        temperature=sampling.temperature,
    )
