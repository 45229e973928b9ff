"""A speech model as a GPU runs it: keys and values in pools, the parts of a step replayed as graphs.

A step has three parts, each a graph for a number of rows: frames are heard (semantic module), positions are read
(language model), patches are made (flow head with its solver). Rows are filled up to a power of two, and so are the
positions that attention looks at, so that few graphs serve all steps. Pieces of prompts, of any length, are computed
as they come.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniaudio.engine.speech_model import AnySpeechModel, SpeechModel
from uniaudio.errors import UnavailableError
from uniaudio.llm.flow_head import FlowHead, StopHead
from uniaudio.llm.model import LanguageModel
from uniaudio.llm.patching import LinearPooling
from uniaudio.llm.solver import Observer, SolverOptions, embedded_times, options_per_row, solve, solve_rows
from uniaudio.nn.graphs import GraphedCall
from uniaudio.nn.held_experts import HeldExperts
from uniaudio.nn.moe import Experts
from uniaudio.nn.native.cache import PackedCache
from uniaudio.nn.paged import PagedStep, PoolShape, TensorPool, paged_step, plan_step
from uniaudio.tokenizer.semantic import SemanticModule

# A patch has five frames in all published models; what is longer is a piece of a prompt.
_LONGEST_STEP = 8
_FEWEST_BLOCKS = 16  # 256 positions
_Body = Callable[[Tensor, PagedStep, Tensor], Tensor]
"""Outputs `(N, D)` of inputs `(N, C)` in a step; the mask `(N,)` marks rows for the audio router."""


@dataclass(frozen=True)
class PagedSpeechModel(AnySpeechModel):
    """A speech model over pools. The same numbers to rounding; a row is rounded differently beside others."""

    language_model: PagedLanguageModel
    pooling: LinearPooling
    flow_head: PagedFlowHead
    stop_head: StopHead
    semantic: PagedSemantic

    @classmethod
    def of(cls, model: SpeechModel, *, max_positions: int) -> PagedSpeechModel:
        """The model over pools for so many positions of all sequences together, which are taken at once.

        The parts are the model's own, and compute experts by grouped products from now on.

        Raises UnavailableError where the device has no memory for them.
        """
        try:
            return cls(
                language_model=PagedLanguageModel(model.language_model, max_positions),
                pooling=model.pooling,
                flow_head=PagedFlowHead(model.flow_head),
                stop_head=model.stop_head,
                semantic=PagedSemantic(model.semantic, max_positions * model.patch_size),
                text_tokenizer=model.text_tokenizer,
                patch_config=model.patch_config,
                info=model.info,
            )
        except torch.OutOfMemoryError as error:
            raise UnavailableError(
                f"{model.device} has no memory for {max_positions} positions beside the weights; "
                "allow fewer with UNIAUDIO_LLM_MAX_KV_POSITIONS",
                value=f"{max_positions} positions",
                limit="the device's memory",
                remedy="allow fewer with UNIAUDIO_LLM_MAX_KV_POSITIONS",
            ) from error


class PagedStack:
    """A stack of layers over a pool: equal steps of many sequences together, longer pieces by themselves."""

    def __init__(self, body: _Body, pool: TensorPool, out_dim: int, *, records: bool = True) -> None:
        self.pool, self._out_dim, self._body = pool, out_dim, body
        self._step = GraphedCall(self._run, records=records)

    def __call__(
        self, x: Tensor, lengths: Sequence[int], caches: Sequence[PackedCache], mask: Tensor | None = None
    ) -> Tensor:
        """Outputs `(N, D)`; every sequence continues its cache, which is extended.

        Blocks for all are taken before anything is computed: when the pool is exhausted, no cache moves.
        """
        for cache, length in zip(caches, lengths, strict=True):
            cache.reserve(length)
        if mask is None:
            mask = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        out = self._apart(x, lengths, caches, mask)
        for cache, length in zip(caches, lengths, strict=True):
            cache.num_positions += length
        return out

    def _apart(
        self, x: Tensor, lengths: Sequence[int], caches: Sequence[PackedCache], mask: Tensor
    ) -> Tensor:
        """Outputs of all, each group of equal steps by itself."""
        groups = list(_groups(lengths))
        if len(groups) == 1 and len(groups[0][1]) == len(lengths):  # most steps
            return self._together(x, caches, groups[0][0], mask).clone()
        out = x.new_empty(len(x), self._out_dim, dtype=self.pool.keys.dtype)
        starts = [0, *accumulate(lengths)]
        for count, members in groups:
            rows = torch.tensor([starts[member] + i for member in members for i in range(count)]).to(x.device)
            held = [caches[member] for member in members]
            out[rows] = self._together(x[rows], held, count, mask[rows])
        return out

    def _together(self, x: Tensor, caches: Sequence[PackedCache], count: int, mask: Tensor) -> Tensor:
        """`count` positions of each sequence."""
        num_blocks = max(len(cache.blocks) for cache in caches)
        if count > _LONGEST_STEP:
            plan = plan_step(caches, count, len(caches), num_blocks)
            return self._run(x, mask, *self._on_device(plan.positions, plan.blocks))
        num_rows, num_blocks = _power_of_two(len(caches)), _power_of_two(max(num_blocks, _FEWEST_BLOCKS))
        plan = plan_step(caches, count, num_rows, num_blocks)
        inputs = (_filled(x, num_rows * count), _filled(mask, num_rows * count))
        out = self._step(
            (count, num_rows, num_blocks), *inputs, *self._on_device(plan.positions, plan.blocks)
        )
        return out[: len(x)]

    def _run(self, x: Tensor, mask: Tensor, positions: Tensor, blocks: Tensor) -> Tensor:
        return self._body(x, paged_step(self.pool, positions, blocks), mask)

    def _on_device(self, *arrays: NDArray[np.int64]) -> Iterator[Tensor]:
        return (torch.from_numpy(array).to(self.pool.keys.device) for array in arrays)


class PagedLanguageModel:
    """Does what `LanguageModel` does for inference, over a pool of its own."""

    def __init__(self, model: LanguageModel, max_positions: int) -> None:
        config = self.config = model.config
        self.word_embeddings = model.word_embeddings
        self._model = model
        weight = model.word_embeddings.weight
        shape = PoolShape(
            config.num_layers, config.num_kv_heads, config.head_dim, weight.dtype, weight.device
        )
        self.pool = TensorPool(shape, max_positions)
        experts = [module for module in model.modules() if isinstance(module, Experts)]
        # What other ranks answer is no part of a graph.
        is_whole = not any(isinstance(module, HeldExperts) for module in experts)
        for module in experts:
            module.is_grouped = is_whole
        self._stack = PagedStack(self._body, self.pool, config.hidden_size, records=is_whole)

    def new_cache(self) -> PackedCache:
        """What the model remembers of one sequence; empty."""
        return PackedCache(self.pool)

    def embed(self, token_ids: Tensor) -> Tensor:
        """Embeddings `(N, H)` of ids `(N,)`; ids beyond the table take its last row (7.2)."""
        return self._model.embed(token_ids)

    def __call__(
        self,
        embeddings: Tensor,
        lengths: Sequence[int],
        caches: Sequence[PackedCache],
        audio_mask: Tensor | None = None,
    ) -> Tensor:
        """Hidden states `(N, H)`; arguments as in `LanguageModel.forward`."""
        return self._stack(embeddings, lengths, caches, audio_mask)

    def logits(self, hidden: Tensor) -> Tensor:
        """Text logits `(N, V)`, float32, of hidden states `(N, H)`."""
        return self._model.logits(hidden)

    def _body(self, x: Tensor, step: PagedStep, mask: Tensor) -> Tensor:
        out: Tensor = self._model(x, (), step, mask, step.positions)
        return out


class PagedSemantic:
    """Does what `SemanticModule` does for inference, over a pool of its own."""

    def __init__(self, module: SemanticModule, max_frames: int) -> None:
        self._module = module
        weight = module.expansion.weight
        num_heads = module.expansion.out_features // module.head_dim
        shape = PoolShape(len(module.blocks), num_heads, module.head_dim, weight.dtype, weight.device)
        self.pool = TensorPool(shape, max_frames)
        self._stack = PagedStack(self._body, self.pool, module.expansion.out_features)

    def new_cache(self) -> PackedCache:
        """An empty cache for one sequence."""
        return PackedCache(self.pool)

    def __call__(
        self, latents: Tensor, lengths: Sequence[int], caches: Sequence[PackedCache] | None = None
    ) -> Tensor:
        """Unified embeddings `(N, unified_dim)`; arguments as in `SemanticModule.forward`."""
        if caches is None:
            out: Tensor = self._module(latents, lengths)
            return out
        return self._stack(latents, lengths, caches)

    def _body(self, latents: Tensor, step: PagedStep, mask: Tensor) -> Tensor:
        out: Tensor = self._module(latents, (), step)
        return out


class PagedFlowHead:
    """The flow head with its solver, a graph for each number of rows and of steps."""

    def __init__(self, head: FlowHead) -> None:
        self._head = head
        self._times: dict[int, Tensor] = {}
        self._solve = GraphedCall(self._solve_rows)

    @torch.no_grad()
    def solve(
        self,
        condition: Tensor,
        history: Tensor,
        initial_noise: Tensor,
        step_noise: Tensor,
        options: SolverOptions | Sequence[SolverOptions] | None = None,
        observe: Observer | None = None,
    ) -> Tensor:
        """A patch `(B, P, C)`, float32, for every row; arguments as in `uniaudio.llm.solver.solve`."""
        if observe is not None:
            return solve(self._head, condition, history, initial_noise, step_noise, options, observe)
        rows = options_per_row(options, len(condition))
        num_steps, num_rows = rows[0].num_steps, _power_of_two(len(rows))
        if num_steps not in self._times:
            self._times[num_steps] = embedded_times(self._head, num_steps)
        inputs = [_filled(x.float(), num_rows) for x in (condition, history, initial_noise)]
        noise = step_noise[: num_steps - 1].float().transpose(0, 1)
        spread = torch.tensor([row.spread for row in rows]).to(condition.device)
        inputs += [_filled(noise, num_rows), _filled(spread, num_rows), self._times[num_steps]]
        is_guided = any(row.guidance_scale != 1.0 for row in rows)
        if is_guided:
            guidance = torch.tensor([row.guidance_scale for row in rows]).to(condition.device)
            inputs.append(_filled(guidance, num_rows))
        return self._solve((num_steps, num_rows, is_guided), *inputs)[: len(rows)].clone()

    def _solve_rows(
        self,
        condition: Tensor,
        history: Tensor,
        initial_noise: Tensor,
        noise: Tensor,
        spread: Tensor,
        times: Tensor,
        guidance: Tensor | None = None,
    ) -> Tensor:
        by_step = noise.transpose(0, 1)
        return solve_rows(self._head, condition, history, initial_noise, by_step, guidance, spread, times)


def _groups(lengths: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Lengths with the sequences that are computed together: equal steps; longer pieces one by one."""
    steps: dict[int, list[int]] = defaultdict(list)
    for member, length in enumerate(lengths):
        if 0 < length <= _LONGEST_STEP:
            steps[length].append(member)
        elif length:
            yield length, [member]
    yield from steps.items()


def _power_of_two(count: int) -> int:
    """The least power of two that is not below `count`."""
    return 1 << (count - 1).bit_length()


def _filled(x: Tensor, num_rows: int) -> Tensor:
    """`x` with zeros after its rows."""
    if len(x) == num_rows:
        return x
    return torch.cat((x, x.new_zeros(num_rows - len(x), *x.shape[1:])))
