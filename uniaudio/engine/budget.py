"""How long a generation may be, when its caller leaves that to the engine.

The published caps come from word counts, are zero for short texts and no protection against a run
away elsewhere (model specification 7.3); the published least lengths make "Hi" 1.8 s long (5). Here
both follow the text's length, with a floor and a hard maximum.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from uniaudio.engine.request import (
    MAX_TOKENS,
    Edit,
    EngineConfig,
    Follow,
    GenerationRequest,
    Speak,
    Understand,
)
from uniaudio.errors import LimitExceededError
from uniaudio.text.speaking_time import count_sounds, speaking_seconds

# The published least lengths: 18 patches for speech from text, 17 for edits. Defaults never ask more.
PUBLISHED_MIN_PATCHES_SPEAK = 18
PUBLISHED_MIN_PATCHES_EDIT = 17
# Patches (100 ms) that one character takes when spoken very fast and very slowly. An ideograph is a
# syllable, a letter a fifth of a word.
_FAST_IDEOGRAPH, _SLOW_IDEOGRAPH = 0.8, 6.0
_FAST_LETTER, _SLOW_LETTER = 0.4, 2.0
_FLOOR_MIN_PATCHES = 2
_FLOOR_MAX_PATCHES = 30
# The published budget of an edit: 2.5 patches for each of the source, never under 100.
_EDIT_GROWTH = 2.5
_EDIT_FLOOR_MAX_PATCHES = 100
_EDIT_FLOOR_TOKENS = 64
_TOKENS_BEFORE_SPEECH = 8
# What can be heard: where each letter is a token, 25 a second, faster than anybody speaks. The published 512 cut
# such a model's reading of a minute off, and let one write on and on that heard nothing.
_HEARD_FLOOR_TOKENS = 24
_HEARD_TOKENS_PER_PATCH = 2.5


@dataclass(frozen=True)
class Budget:
    """Least and most patches, and most text tokens, of one generation."""

    min_patches: int
    max_patches: int
    max_tokens: int


def budget_of(request: GenerationRequest, config: EngineConfig, patch_size: int) -> Budget:
    """The budget of a checked request; `LimitExceededError` if recording and output cannot both fit."""
    task = request.task
    num_frames = 0 if request.latents is None else request.latents.shape[0]
    source_patches = num_frames // patch_size
    if isinstance(task, Understand):
        return Budget(0, 0, task.max_tokens or _heard_tokens(source_patches))
    if isinstance(task, Follow):
        return Budget(source_patches, source_patches, 0)
    room = config.max_frames // patch_size - source_patches
    if isinstance(task, Speak):
        fewest, most = _speak_patches(task.text)
        return _patches(task, fewest, most, room, source_patches, max_tokens=0)
    fewest = min(PUBLISHED_MIN_PATCHES_EDIT, max(_FLOOR_MIN_PATCHES, source_patches // 4))
    most = max(_EDIT_FLOOR_MAX_PATCHES, math.ceil(_EDIT_GROWTH * source_patches))
    thinking = max(_EDIT_FLOOR_TOKENS, 2 * source_patches)
    tokens = task.max_tokens or (thinking if task.reasoning else _TOKENS_BEFORE_SPEECH)
    if task.mark is not None:
        tokens = 0
    kept = task.kept_frames // patch_size
    return _patches(task, max(fewest, kept + 1), most, room, source_patches, tokens)


def audio_seconds_of(request: GenerationRequest, frame_rate: float) -> float:
    """Seconds of audio that a request stands for: its recording's, or what its text likely takes."""
    if isinstance(request.task, Speak):
        return speaking_seconds(request.task.text)
    return 0.0 if request.latents is None else request.latents.shape[0] / frame_rate


def _patches(
    task: Speak | Edit, fewest: int, most: int, room: int, source_patches: int, max_tokens: int
) -> Budget:
    needed = task.max_patches or task.min_patches or fewest
    if needed > room:
        raise LimitExceededError(
            f"a recording of {source_patches} patches of 100 ms and {needed} new ones are more than "
            f"the limit of {source_patches + room}: shorten the recording or ask for fewer patches",
            field="latents",
            value=f"{source_patches} + {needed} patches",
            limit=f"{source_patches + room} patches",
            remedy="shorten the recording or ask for fewer patches",
            max_patches=max(room, 0),
        )
    max_patches = task.max_patches or min(max(most, task.min_patches or 0), room)
    return Budget(min(task.min_patches or fewest, max_patches), max_patches, max_tokens)


def _speak_patches(text: str) -> tuple[int, int]:
    dense, letters = count_sounds(text)
    fewest = int(_FAST_IDEOGRAPH * dense + _FAST_LETTER * letters)
    most = math.ceil(_SLOW_IDEOGRAPH * dense + _SLOW_LETTER * letters)
    return (
        min(max(fewest, _FLOOR_MIN_PATCHES), PUBLISHED_MIN_PATCHES_SPEAK),
        max(most, _FLOOR_MAX_PATCHES),
    )


def _heard_tokens(source_patches: int) -> int:
    return min(MAX_TOKENS, _HEARD_FLOOR_TOKENS + math.ceil(_HEARD_TOKENS_PER_PATCH * source_patches))
