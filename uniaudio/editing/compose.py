"""Builds plans: limits, the command in the form the model was trained on, the summary in one sentence."""

from __future__ import annotations

from typing import NoReturn

from uniaudio.editing.amounts import factor_to_decibels
from uniaudio.editing.plan import VALUE_RANGES, EditKind, InsertPlace, Plan, TextTarget, shorten
from uniaudio.errors import InvalidInputError

_PLACE_WORDS = {InsertPlace.BEFORE: "before", InsertPlace.AFTER: "after"}
MAX_QUOTED_CHARACTERS = 400
CHANGES_NOTHING = "INSTRUCTION_CHANGES_NOTHING"


def speed(instruction: str, factor: float) -> Plan:
    """Change the rate; `factor` 0.5 is half as fast."""
    factor = VALUE_RANGES[EditKind.SPEED].check(factor, EditKind.SPEED)
    number = format_number(factor)
    return Plan(
        instruction=instruction,
        kind=EditKind.SPEED,
        value=factor,
        model_instruction=f"adjusts the speed to {number}",
        summary=f"Change the speed to {number} times the original, with the pitch kept.",
    )


def volume(instruction: str, factor: float) -> Plan:
    """Change the amplitude by a linear factor."""
    factor = VALUE_RANGES[EditKind.VOLUME].check(factor, EditKind.VOLUME)
    number = format_number(factor)
    return Plan(
        instruction=instruction,
        kind=EditKind.VOLUME,
        value=factor,
        model_instruction=f"adjusts the volume to {number}",
        summary=f"Change the amplitude to {number} times the original ({factor_to_decibels(factor):+.1f} dB).",
    )


def pitch(instruction: str, semitones: float) -> Plan:
    """Shift the pitch."""
    semitones = VALUE_RANGES[EditKind.PITCH].check(semitones, EditKind.PITCH)
    number = format_number(semitones)
    way = "Raise" if semitones >= 0 else "Lower"
    amount = format_number(abs(semitones))
    return Plan(
        instruction=instruction,
        kind=EditKind.PITCH,
        value=semitones,
        model_instruction=f"shifts the pitch by {number} steps",
        summary=f"{way} the pitch by {amount} semitone{'' if amount == '1' else 's'}, with the length kept.",
    )


def denoise(instruction: str) -> Plan:
    """Remove noise."""
    return Plan(instruction=instruction, kind=EditKind.DENOISE, model_instruction="denoise the audio",
                summary="Remove the noise.")  # fmt: skip


def background(instruction: str, sound: str) -> Plan:
    """Add a background sound."""
    return Plan(instruction=instruction, kind=EditKind.BACKGROUND, name=sound,
                model_instruction=f"add {sound} to audio",
                summary=f"Add {shorten(sound)} in the background.")  # fmt: skip


def emotion(instruction: str, name: str) -> Plan:
    """Change the emotion."""
    return Plan(instruction=instruction, kind=EditKind.EMOTION, name=name,
                model_instruction=f"change the emotion to {name} mood",
                summary=f"Say the same words in a {shorten(name)} mood.")  # fmt: skip


def dialect(instruction: str, name: str) -> Plan:
    """Change the accent or dialect."""
    return Plan(instruction=instruction, kind=EditKind.DIALECT, name=name,
                model_instruction=f"change the accent of the speech to {name}",
                summary=f"Say the same words with a {shorten(name)} accent.")  # fmt: skip


def delete(instruction: str, target: TextTarget) -> Plan:
    """Take words out."""
    _check_target(target)
    return Plan(
        instruction=instruction,
        kind=EditKind.DELETE,
        target=target,
        reasoning=True,
        model_instruction=f"delete {_model_target(target)}",
        summary=f"Delete {describe_target(target)}.",
    )


def insert(instruction: str, new_text: str, place: InsertPlace, target: TextTarget | None = None) -> Plan:
    """Add words before or after a target, or at one of the ends."""
    target = target or TextTarget()
    new_text = _check_new_text(new_text)
    if place in (InsertPlace.BEGINNING, InsertPlace.END):
        where = told = f"at the {place.name.lower()}"
    else:
        _check_target(target)
        where = f"{_PLACE_WORDS[place]} {_model_anchor(target)}"
        told = f"{_PLACE_WORDS[place]} {describe_target(target)}"
    return Plan(
        instruction=instruction,
        kind=EditKind.INSERT,
        target=target,
        place=place,
        new_text=new_text,
        reasoning=True,
        model_instruction=f"insert {quote(new_text)} {where}",
        summary=f"Insert {quote(shorten(new_text))} {told}.",
    )


def substitute(instruction: str, target: TextTarget, new_text: str) -> Plan:
    """Replace words."""
    _check_target(target)
    new_text = _check_new_text(new_text)
    return Plan(
        instruction=instruction,
        kind=EditKind.SUBSTITUTE,
        target=target,
        new_text=new_text,
        reasoning=True,
        model_instruction=f"substitute {_model_target(target)} with {quote(new_text)}",
        summary=f"Replace {describe_target(target)} with {quote(shorten(new_text))}.",
    )


def nothing(instruction: str) -> NoReturn:
    """Refuse to change nothing: whoever edits would only make the recording anew, and worse."""
    raise InvalidInputError(
        f"the instruction {shorten(instruction)!r} asks for no change and the recording is already as it should be:"
        ' say what to change, e.g. "make it 20% faster"',
        reason=CHANGES_NOTHING,
        value=shorten(instruction),
        limit="an instruction that changes something",
        remedy="say what to change, or keep the recording that you have",
    )


def free_text(instruction: str) -> Plan:
    """Hand the text to the model as it is."""
    command = instruction.strip().rstrip(".。!！ ")
    return Plan(
        instruction=instruction,
        reasoning=True,
        model_instruction=command,
        summary="Not recognised as a known edit: the text goes to the model as it is.",
    )


def quote(text: str) -> str:
    """`text` in the quotes of the published commands."""
    return f"'{text}'"


def format_number(value: float) -> str:
    """Shortest form with at most three decimals: 1.3, 0.667, -4."""
    return f"{round(value, 3):g}"


def describe_target(target: TextTarget) -> str:
    """Words for a target: "'ten birds'", "the last 2 words or characters"."""
    if target.text:
        return quote(shorten(target.text))
    start, end = target.start_index, target.end_index
    if start < 0 and end == -1:
        return "the last word or character" if start == -1 else f"the last {-start} words or characters"
    if start == end:
        ending = f"{-start} from the end" if start < 0 else str(start)
        return f"the word or character at index {ending}"
    return f"the words or characters from index {start} to index {end}"


def _model_target(target: TextTarget) -> str:
    """The published form of a target: a quoted text or both indices."""
    if target.text:
        return quote(target.text)
    if target.start_index < 0:
        return describe_target(target)
    return f"the characters or words from index {target.start_index} to index {target.end_index}"


def _model_anchor(target: TextTarget) -> str:
    """The published form of what an insertion stands beside: one word, by text or index."""
    if target.text:
        return f"the character or word {quote(target.text)}"
    if target.start_index < 0:
        return describe_target(target)
    return f"the character or word at index {target.start_index}"


def _check_target(target: TextTarget) -> None:
    if target.text:
        return
    start, end = target.start_index, target.end_index
    if start == 0 or end == 0:
        raise InvalidInputError(
            "position 0 does not exist: positions count from 1, or from -1 at the end",
            reason="EDIT_TARGET_INVALID",
            value=f"{start} to {end}",
            limit="from 1, or from -1 at the end",
            remedy="count from 1",
        )
    if (start > 0) == (end > 0) and start > end:
        raise InvalidInputError(
            f"positions {start} to {end} run backwards: write the smaller one first",
            reason="EDIT_TARGET_INVALID",
            value=f"{start} to {end}",
            limit="the first position at most the last",
            remedy="write the smaller one first",
        )


def _check_new_text(text: str) -> str:
    text = text.strip()
    if not text:
        raise InvalidInputError(
            "the new words are empty: put them in quotes",
            reason="EDIT_TEXT_EMPTY",
            value="0 characters",
            limit=f"1 to {MAX_QUOTED_CHARACTERS} characters",
            remedy="put them in quotes",
        )
    if len(text) > MAX_QUOTED_CHARACTERS:
        raise InvalidInputError(
            f"the new words have {len(text)} characters, the limit is {MAX_QUOTED_CHARACTERS}:"
            " split the edit into several",
            reason="EDIT_TEXT_TOO_LONG",
            value=len(text),
            limit=MAX_QUOTED_CHARACTERS,
            remedy="split the edit into several",
        )
    return text
