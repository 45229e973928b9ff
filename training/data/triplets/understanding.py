"""Whether an instruction says the edit that was made, as the product itself reads instructions."""

from __future__ import annotations

import math

from training.data.triplets.triplet import Kind, Triplet
from uniaudio.editing.compose import CHANGES_NOTHING
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.plan import EditKind
from uniaudio.editing.target import resolve_target
from uniaudio.errors import InvalidInputError

_READ_AS = {
    Kind.INSERT: EditKind.INSERT,
    Kind.DELETE: EditKind.DELETE,
    Kind.SUBSTITUTE: EditKind.SUBSTITUTE,
    Kind.SPEED: EditKind.SPEED,
    Kind.PITCH: EditKind.PITCH,
    Kind.VOLUME: EditKind.VOLUME,
    Kind.DENOISE: EditKind.DENOISE,
    Kind.ADD_SOUND: EditKind.BACKGROUND,
    Kind.EMOTION_PROXY: EditKind.EMOTION,
    Kind.ACCENT_PROXY: EditKind.DIALECT,
}


def is_understood(triplet: Triplet) -> bool:
    """Whether the edit grammar reads the instruction as this edit, and from the source's text gets the target's.

    What changes nothing is refused there, which is understood. Names of moods and accents are compared in
    English only: Mandarin has others.
    """
    try:
        plan = parse_instruction(triplet.instruction.text)
        if plan.kind is not _READ_AS.get(triplet.kind):
            return False
        if triplet.kind.changes_words:
            resolved = resolve_target(plan, triplet.source.text)
            return resolved.edited_text == triplet.target.text and not resolved.note
    except InvalidInputError as error:
        return triplet.kind is Kind.NONE and error.reason == CHANGES_NOTHING
    if triplet.edit.value is not None:
        return math.isclose(plan.value, triplet.edit.value, abs_tol=1e-6)
    named = triplet.kind is not Kind.DENOISE and triplet.instruction.language == "en"
    return plan.name == triplet.edit.name if named else True
