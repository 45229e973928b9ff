"""What an edit is: the plan made from an instruction. Mirrors `EditPlan` of edits.proto."""

from __future__ import annotations

import dataclasses
import enum
from dataclasses import dataclass, field

from uniaudio.errors import LimitExceededError, UnknownInstructionError


class EditKind(enum.IntEnum):
    """Kinds of edit; the numbers are those of the contract."""

    UNSPECIFIED = 0  # free text for the model
    INSERT = 1
    DELETE = 2
    SUBSTITUTE = 3
    DENOISE = 4
    SPEED = 5
    PITCH = 6
    VOLUME = 7
    BACKGROUND = 8
    EMOTION = 9
    DIALECT = 10

    @property
    def changes_words(self) -> bool:
        """True for edits of what is said, which happen in one place of the recording."""
        return self in (EditKind.INSERT, EditKind.DELETE, EditKind.SUBSTITUTE)

    @property
    def can_be_exact(self) -> bool:
        """True for edits that signal processing carries out exactly."""
        return self in (EditKind.SPEED, EditKind.PITCH, EditKind.VOLUME)


class EditEngine(enum.IntEnum):
    """Who carries an edit out; the numbers are those of the contract."""

    UNSPECIFIED = 0  # AUTO
    AUTO = 1
    MODEL = 2
    EXACT = 3


class InsertPlace(enum.IntEnum):
    """Where new words go, relative to the target; the numbers are those of the contract."""

    UNSPECIFIED = 0
    BEFORE = 1
    AFTER = 2
    BEGINNING = 3
    END = 4


@dataclass(frozen=True, kw_only=True)
class TextTarget:
    """Where in the words of a recording an edit applies.

    Either `text` or both positions are set. Positions count from 1, both ends included: words in
    English, characters in Chinese; negative ones count from the end, -1 is the last.
    """

    text: str = ""
    start_index: int = 0
    end_index: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done. `value` is a rate factor, an amplitude factor or semitones, by kind."""

    instruction: str
    kind: EditKind = EditKind.UNSPECIFIED
    engine: EditEngine = EditEngine.AUTO
    target: TextTarget = field(default_factory=TextTarget)
    place: InsertPlace = InsertPlace.UNSPECIFIED
    new_text: str = ""
    value: float = 0.0
    name: str = ""
    model_instruction: str = ""
    reasoning: bool = False
    summary: str = ""

    def with_engine(self, engine: EditEngine) -> Plan:
        """The same plan with the engine settled: MODEL or EXACT.

        AUTO and UNSPECIFIED take EXACT where the edit can be exact. An exact plan has no
        `model_instruction`.
        Raises UnknownInstructionError when EXACT is asked for and signal processing cannot do the edit.
        """
        if engine in (EditEngine.AUTO, EditEngine.UNSPECIFIED):
            engine = EditEngine.EXACT if self.kind.can_be_exact else EditEngine.MODEL
        if engine is EditEngine.MODEL:
            return dataclasses.replace(self, engine=engine)
        if not self.kind.can_be_exact:
            what = (
                "was not recognised"
                if self.kind is EditKind.UNSPECIFIED
                else f"was understood as {self.kind.name.lower()}"
            )
            raise UnknownInstructionError(
                f"the instruction {shorten(self.instruction)!r} {what}; the exact engine only changes speed,"
                ' pitch and volume: ask for one of them, e.g. "make it 20% faster", or use engine auto',
                value=shorten(self.instruction),
                limit="speed, pitch or volume",
                remedy="ask for one of them, or use engine auto",
                engine="exact",
            )
        return dataclasses.replace(self, engine=engine, model_instruction="", reasoning=False)


@dataclass(frozen=True)
class ValueRange:
    """The values an edit accepts, both ends included."""

    minimum: float
    maximum: float
    unit: str
    remedy: str

    def check(self, value: float, kind: EditKind) -> float:
        """`value` when it is inside; raises LimitExceededError naming value, limit and remedy."""
        if self.minimum <= value <= self.maximum:
            return value
        raise LimitExceededError(
            f"{kind.name.lower()} {value:g} {self.unit} is outside {self.minimum:g} to {self.maximum:g}"
            f" {self.unit}: {self.remedy}",
            reason="EDIT_VALUE_OUT_OF_RANGE",
            value=f"{value:g} {self.unit}",
            limit=f"{self.minimum:g} to {self.maximum:g} {self.unit}",
            remedy=self.remedy,
        )


VALUE_RANGES = {
    EditKind.SPEED: ValueRange(0.25, 4.0, "times", "ask for a rate inside, or apply two edits in a row"),
    EditKind.PITCH: ValueRange(-12.0, 12.0, "semitones", "ask for at most one octave up or down"),
    EditKind.VOLUME: ValueRange(0.01, 10.0, "times", "ask for a change between -40 dB and +20 dB"),
}


def shorten(text: str, max_characters: int = 80) -> str:
    """`text`, cut with an ellipsis when it is too long to be quoted in a message."""
    return text if len(text) <= max_characters else text[: max_characters - 1] + "…"
