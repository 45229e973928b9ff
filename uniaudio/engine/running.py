"""What a sequence has the model read, position by position: its prompt, then what it made itself.

A step reads the next positions of it. One position of a running sequence, a piece of a long prompt,
and all of a sequence that lost its blocks are the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from uniaudio.engine.memory import HeardRecording
from uniaudio.engine.speech_model import SequenceState
from uniaudio.llm.prompt import Prompt


@dataclass
class RunningState:
    """What the runner holds for one sequence.

    Attributes:
        model: caches of the language model and of the semantic module.
        prompt: what it began with; at most one recording.
        recording: that recording's frames `(n, C)`, whole patches only; empty without one.
        content: the recording's digest.
        keys: of the prompt's whole blocks.
        history: the patch before the next one, `(P, C)`.
        heard: what was known of the recording before.
        is_known_voice: whether the recording is a voice that will be asked for again.
        num_read: positions that the language model holds.
        num_heard: frames that the semantic module holds, of the recording and of what was made.
        tokens, patches: what was made; each patch `(P, C)`.
        letters: the tokens that name the characters of a text that is followed.
        embeddings: of the recording's patches so far, while they are made for others too.
    """

    model: SequenceState
    prompt: Prompt
    recording: Tensor
    content: bytes
    keys: list[bytes]
    history: Tensor
    heard: HeardRecording | None = None
    is_known_voice: bool = False
    num_read: int = 0
    num_heard: int = 0
    tokens: list[int] = field(default_factory=list)
    patches: list[Tensor] = field(default_factory=list)
    letters: list[int] = field(default_factory=list)
    embeddings: list[Tensor] = field(default_factory=list)

    @property
    def num_positions(self) -> int:
        """Positions there are to read by now."""
        return len(self.prompt) + len(self.tokens) + len(self.patches)

    @property
    def has_read_prompt(self) -> bool:
        return self.num_read >= len(self.prompt)

    def frames(self, start: int, end: int) -> Tensor:
        """Frames `[start, end)` of the recording followed by what was made, `(end - start, C)`."""
        known = self.recording.shape[0]
        pieces = [self.recording[start:end]] if start < known else []
        if end > known:
            size = self.history.shape[0]
            first = max(start - known, 0)
            made = self.patches[first // size : -(-(end - known) // size)]
            pieces.append(torch.cat(made)[first % size : first % size + end - known - first])
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces)


@dataclass(frozen=True)
class Piece:
    """The positions that a step reads of one sequence: `[start, end)`.

    `token_ids` are those of its text positions; `text_rows` and `audio_rows` say where, from 0, text
    and patches stand; `patches` is the range of the sequence's patches that the latter are.
    """

    start: int
    end: int
    token_ids: list[int]
    text_rows: list[int]
    audio_rows: list[int]
    patches: range
    marks_audio: bool


def next_piece(state: RunningState, share: int) -> Piece:
    """At most `share` positions from where the sequence stands."""
    start, end = state.num_read, min(state.num_positions, state.num_read + share)
    prompt = state.prompt
    span = range(0)
    if prompt.audio_spans:
        span = range(
            prompt.audio_spans[0].start, prompt.audio_spans[0].start + prompt.audio_spans[0].num_patches
        )
    num_text = len(prompt) + len(state.tokens)
    token_ids, text_rows, audio_rows = [], [], []
    for position in range(start, end):
        if position in span or position >= num_text:
            audio_rows.append(position - start)
            continue
        text_rows.append(position - start)
        is_prompt = position < len(prompt)
        token_ids.append(prompt.token_ids[position] if is_prompt else state.tokens[position - len(prompt)])
    patches = range(0)
    if audio_rows:
        first = start + audio_rows[0]
        first_patch = first - span.start if first in span else len(span) + first - num_text
        patches = range(first_patch, first_patch + len(audio_rows))
    return Piece(start, end, token_ids, text_rows, audio_rows, patches, prompt.audio_router)
