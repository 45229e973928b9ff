"""Reading one's own patches while learning: scheduled sampling, in parallel over the sequence.

A model that has only read recordings speaks worse from patch to patch, because what it reads then is what it has
made itself. So some patches of a sequence are made, each from the recorded ones before it, and read in the
recording's place; what is to come stays the recording's (Bengio et al. 2015, arXiv 1506.03099; in parallel:
Duckworth et al. 2019, arXiv 1906.04331).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import torch
from torch import Tensor

from training.data.sequences import SequenceBatch
from uniaudio.llm.flow_head import FlowHead
from uniaudio.llm.solver import SolverOptions, solve

# A few steps make patches that are wrong in the way that counts.
_HOW = SolverOptions(guidance_scale=1.0, num_steps=4, temperature=0.0)


@torch.no_grad()
def reading_own(head: FlowHead, batch: SequenceBatch, conditions: Tensor) -> SequenceBatch:
    """The batch whose marked targets are read, and followed, as the model makes them.

    `conditions` `(num_targets, H)` are the hidden states that the recordings led to.
    """
    assert batch.own is not None, "they were drawn"
    own = torch.nonzero(batch.own.is_read)[:, 0]
    if not len(own):
        return batch
    patches = batch.read_latents.view(-1, *batch.clean_latents.shape[1:])
    noise = batch.own.noise.index_select(0, own)
    still = noise.new_zeros(()).expand(_HOW.num_steps - 1, *noise.shape)
    before = _before(batch, patches).index_select(0, own)
    made = solve(head, conditions.index_select(0, own), before, noise, still, _HOW)
    read = patches.index_copy(0, batch.target_patches.index_select(0, own), made.to(patches.dtype))
    flow = batch.flow
    if flow is not None:
        flow = replace(flow, history=_before(batch, read).index_select(0, batch.chosen))
    return replace(batch, read_latents=read.flatten(0, 1), flow=flow)


def _before(batch: SequenceBatch, patches: Tensor) -> Tensor:
    """What each target follows, `(num_targets, P, C)`: zeros at the beginning of each speech (7.4)."""
    before = patches.index_select(0, (batch.target_patches - 1).clamp(min=0))
    firsts = [0, *accumulate(batch.target_counts)][:-1]
    return before.index_fill(0, torch.tensor(firsts, device=before.device), 0.0)
