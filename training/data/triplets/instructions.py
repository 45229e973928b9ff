"""Says an edit: which wordings name it, and it alone, and the sentence itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from training.data.triplets.triplet import Form, Instruction, Kind
from training.data.triplets.word_edit import WordEdit, Words
from training.data.triplets.wordings import WORDINGS, Need, Wording
from uniaudio.editing.compose import format_number
from uniaudio.errors import InvalidInputError

_LONGEST_ANCHOR = 3
# Sounds, moods and accents as Mandarin wordings name them.
_MANDARIN = {
    "rain": "雨声", "wind": "风声", "music": "音乐", "crowd": "人群",
    "happy": "开心", "sad": "悲伤", "angry": "愤怒", "calm": "平静",
    "American": "美国", "British": "英国", "Scottish": "苏格兰",
}  # fmt: skip


def wordings(*, held_out: bool = False, languages: Sequence[str] = ("en",)) -> tuple[Wording, ...]:
    """The wordings of some languages: those to train on, or those that are held out."""
    return tuple(
        wording for wording in WORDINGS if wording.held_out is held_out and wording.language in languages
    )


@dataclass(frozen=True)
class _Way:
    """A form that names the edit, and what its wordings are filled with."""

    form: Form
    need: Need
    fields: Mapping[str, object]


def word_instruction(edit: WordEdit, pool: Sequence[Wording], rng: np.random.Generator) -> Instruction:
    """One of the wordings of `pool` that name this edit alone; quoted words of the source stand there once.

    Raises InvalidInputError where the pool has none.
    """
    ways = {
        Kind.INSERT: _insertions,
        Kind.DELETE: _removals,
        Kind.SUBSTITUTE: _removals,
    }[edit.kind](edit)
    return _say(edit.kind, list(ways), pool, rng)


def value_instruction(
    kind: Kind, value: float, pool: Sequence[Wording], rng: np.random.Generator
) -> Instruction:
    """A wording of a speed or volume factor, or of semitones."""
    neutral = 0.0 if kind is Kind.PITCH else 1.0
    size = format_number(abs(value))
    fields = {
        "f": format_number(value),
        "p": round(100 * abs(value - 1)),
        "s": format_number(value),
        "n": size,
        "semitones": f"{size} semitone{'' if size == '1' else 's'}",
    }
    way: Need = "up" if value > neutral else "down"
    return _say(kind, [_Way("value", "", fields), _Way("value", way, fields)], pool, rng)


def named_instruction(
    kind: Kind, name: str, pool: Sequence[Wording], rng: np.random.Generator
) -> Instruction:
    """A wording of an edit that needs a name at most: a sound, a mood, an accent."""
    return _say(kind, [_Way("free", "", {"name": name} if name else {})], pool, rng)


def _insertions(edit: WordEdit) -> Iterator[_Way]:
    new, place = " ".join(edit.new), len(edit.before)
    if edit.after:
        yield _Way("index", "before", {"w": new, "i": place + 1})
    if edit.before:
        yield _Way("index", "after", {"w": new, "i": place})
    for need, anchors in (("before", edit.anchor_after), ("after", edit.anchor_before)):
        found = [anchor for length in range(1, _LONGEST_ANCHOR + 1) if (anchor := anchors(length))]
        if found:
            yield _Way("content", "before" if need == "before" else "after", {"w": new, "x": _text(found[0])})
    if not edit.before:
        yield _Way("ends", "beginning", {"w": new})
    if not edit.after:
        yield _Way("ends", "end", {"w": new})


def _removals(edit: WordEdit) -> Iterator[_Way]:
    """Deletions and substitutions, which name what goes."""
    count = len(edit.old)
    first, last = len(edit.before) + 1, len(edit.before) + count
    fields = {"w": _text(edit.new), "x": _text(edit.old), "i": first, "j": last, "n": count}
    yield _Way("index", "one" if count == 1 else "many", fields)
    if edit.old_is_unique:
        yield _Way("content", "", fields)
    if count > 1 and not edit.before:
        yield _Way("ends", "first", fields)
    if count > 1 and not edit.after:
        yield _Way("ends", "last", fields)


def _text(words: Words) -> str:
    return " ".join(words)


def _say(kind: Kind, ways: Sequence[_Way], pool: Sequence[Wording], rng: np.random.Generator) -> Instruction:
    """A way drawn evenly, then one of its wordings."""
    choices = [
        (way, fitting)
        for way in ways
        if (fitting := [w for w in pool if (w.kind, w.form, w.need) == (kind, way.form, way.need)])
    ]
    if not choices:
        raise InvalidInputError(
            f"none of the {len(pool)} wordings says this {kind.value}; add wordings of its forms"
        )
    way, fitting = choices[rng.integers(len(choices))]
    wording = fitting[rng.integers(len(fitting))]
    fields = dict(way.fields)
    if wording.language == "zh" and "name" in fields:
        fields["name"] = _MANDARIN[str(fields["name"])]
    return Instruction(
        text=wording.text.format(**fields),
        form=wording.form,
        template_id=wording.id,
        language=wording.language,
        held_out=wording.held_out,
    )
