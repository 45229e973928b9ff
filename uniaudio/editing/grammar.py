"""Reads an instruction, English or Chinese, into a plan; `docs/instructions.md` documents the wordings."""

from __future__ import annotations

import re

from uniaudio.editing import chinese, compose, english
from uniaudio.editing.phrases import QUOTE, read_phrase
from uniaudio.editing.plan import Plan
from uniaudio.errors import InvalidInputError, LimitExceededError

MAX_INSTRUCTION_CHARACTERS = 2000
_HAN = re.compile("[\u3400-\u9fff]")


def parse_instruction(instruction: str) -> Plan:
    """The plan that `instruction` asks for, engine AUTO.

    A wording that no rule covers as a whole becomes a plan of kind UNSPECIFIED for the model.
    Raises InvalidInputError for an empty instruction, one that asks for no change or impossible positions,
    LimitExceededError for an instruction that is too long or a value outside `plan.VALUE_RANGES`.
    """
    if not instruction.strip():
        raise InvalidInputError(
            'the instruction is empty: say what to change, e.g. "make it 20% faster"',
            reason="INSTRUCTION_EMPTY",
            value="0 characters",
            limit=f"1 to {MAX_INSTRUCTION_CHARACTERS} characters",
            remedy="say what to change",
        )
    if len(instruction) > MAX_INSTRUCTION_CHARACTERS:
        raise LimitExceededError(
            f"the instruction has {len(instruction)} characters, the limit is {MAX_INSTRUCTION_CHARACTERS}:"
            " give one edit at a time",
            reason="INSTRUCTION_TOO_LONG",
            value=len(instruction),
            limit=MAX_INSTRUCTION_CHARACTERS,
            remedy="give one edit at a time",
        )
    phrase = read_phrase(instruction)
    if phrase is None:
        return compose.free_text(instruction)
    rules = chinese.RULES if _HAN.search(re.sub(QUOTE, "", phrase.text)) else english.RULES
    for rule in rules:
        plan = rule.apply(phrase)
        if plan is not None:
            return plan
    return compose.free_text(instruction)
