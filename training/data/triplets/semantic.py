"""Insertions, deletions and substitutions of words, by cutting a recording or by speaking twice.

A cut keeps the untouched recording as the target, but leaves a join in the source that a model could latch
onto; two renderings have no join, but differ a little everywhere. So both are made, and told by `method`.
"""

from __future__ import annotations

from collections.abc import Callable

from training.data.triplets.instructions import word_instruction
from training.data.triplets.scene import Scene
from training.data.triplets.splice import Piece, boundary, group_edges, head, join, middle, spans, tail
from training.data.triplets.spoken_scene import SpokenScene
from training.data.triplets.triplet import Edit, Kind, Method, Region, Triplet
from training.data.triplets.word_edit import WordEdit, Words
from training.data.utterance import Utterance
from uniaudio.errors import InvalidInputError

MAX_WORDS = 3
_MIN_WORDS_LEFT = 2
_RESYNTH_SHARE = 0.5
_OTHER_UTTERANCE_SHARE = 0.5  # the rest takes foreign audio from the recording itself
Span = tuple[int, int]


def make_word_triplet(kind: Kind, scene: Scene) -> Triplet:
    """An insertion, deletion or substitution of one to three words.

    Raises InvalidInputError where the drawn sentence has no place for it.
    """
    if isinstance(scene, SpokenScene) and scene.chance(_RESYNTH_SHARE):
        return _resynthesised(kind, scene)
    return CUTTERS[kind](scene)


def cut_insertion(scene: Scene) -> Triplet:
    """The source lacks words of the target."""
    whole = scene.cuttable()
    first, last = _draw_span(whole, scene, leave=_MIN_WORDS_LEFT)
    place = boundary(whole, first)
    return _triplet(
        scene, "splice", _edit(whole, (first, last), old=()),
        source=join([head(whole, first), tail(whole, last)]), target=whole,
        source_region=(place, place), target_region=(place, boundary(whole, last)),
        cuts=((whole, first), (whole, last)),
    )  # fmt: skip


def cut_deletion(scene: Scene) -> Triplet:
    """The source has foreign words in the middle, taken from elsewhere in the recording or from another one."""
    whole = scene.cuttable()
    extra, cuts = _foreign(whole, scene, avoid=None)
    at = scene.choose(group_edges(whole))
    place = boundary(whole, at)
    return _triplet(
        scene, "splice", _edit(whole, (at, at), old=_words(extra)),
        source=join([head(whole, at), extra, tail(whole, at)]), target=whole,
        source_region=(place, place + extra.end - extra.start), target_region=(place, place),
        cuts=((whole, at), *cuts),
    )  # fmt: skip


def cut_substitution(scene: Scene) -> Triplet:
    """Words of the target are overwritten by others in the source."""
    whole = scene.cuttable()
    first, last = _draw_span(whole, scene, leave=0)
    extra, cuts = _foreign(whole, scene, avoid=(first, last))
    place = boundary(whole, first)
    return _triplet(
        scene, "splice", _edit(whole, (first, last), old=_words(extra)),
        source=join([head(whole, first), extra, tail(whole, last)]), target=whole,
        source_region=(place, place + extra.end - extra.start),
        target_region=(place, boundary(whole, last)),
        cuts=((whole, first), (whole, last), *cuts),
    )  # fmt: skip


CUTTERS: dict[Kind, Callable[[Scene], Triplet]] = {
    Kind.INSERT: cut_insertion,
    Kind.DELETE: cut_deletion,
    Kind.SUBSTITUTE: cut_substitution,
}


def _resynthesised(kind: Kind, scene: SpokenScene) -> Triplet:
    """Source and target spoken freshly in one voice."""
    words = tuple(scene.sentences.sentence(scene.rng).split())
    leave = 0 if kind is Kind.SUBSTITUTE else _MIN_WORDS_LEFT
    choices = [
        (first, first + count)
        for count in range(1, MAX_WORDS + 1)
        for first in range(len(words) - count + 1)
        if len(words) - count >= leave
    ]
    first, last = scene.choose(choices)
    inner = words[first:last]
    old, new = {
        Kind.INSERT: ((), inner),
        Kind.DELETE: (inner, ()),
        Kind.SUBSTITUTE: (inner, scene.other_words(inner) if kind is Kind.SUBSTITUTE else ()),
    }[kind]
    edit = WordEdit(before=words[:first], old=old, new=new, after=words[last:])
    source, target = scene.speak(edit.source), scene.speak(edit.target)
    return _triplet(
        scene, "resynth", edit, source=source, target=target,
        source_region=_region(source, first, len(old)), target_region=_region(target, first, len(new)),
    )  # fmt: skip


def _triplet(
    scene: Scene,
    method: Method,
    edit: WordEdit,
    *,
    source: Utterance,
    target: Utterance,
    source_region: Region,
    target_region: Region,
    cuts: tuple[tuple[Utterance, int], ...] = (),
) -> Triplet:
    if edit.old == edit.new:
        raise InvalidInputError(f"replacing {edit.old} by itself changes nothing; draw other words")
    place = len(edit.before)
    return Triplet(
        kind=edit.kind,
        method=method,
        instruction=word_instruction(edit, scene.wordings, scene.rng),
        source=source,
        target=target,
        edit=Edit(span_words=(place, place + len(edit.old)), old=" ".join(edit.old), new=" ".join(edit.new)),
        plan_text=edit.plan_text,
        reasoning=edit.reasoning,
        source_region=source_region,
        target_region=target_region,
        cuts=cuts,
    )


def _draw_span(whole: Utterance, scene: Scene, *, leave: int) -> Span:
    """Words that can be cut out, so that at least `leave` stay; short spans are as likely as long ones."""
    found = [(i, j) for i, j in spans(whole, MAX_WORDS) if len(whole.words) - (j - i) >= leave]
    count = scene.choose(sorted({j - i for i, j in found}))
    return scene.choose([(i, j) for i, j in found if j - i == count])


def _foreign(
    whole: Utterance, scene: Scene, *, avoid: Span | None
) -> tuple[Piece, tuple[tuple[Utterance, int], ...]]:
    """Words from the same recording, apart from the span to avoid, or from another one of the same voice."""
    giver = scene.another(whole) if scene.chance(_OTHER_UTTERANCE_SHARE) else whole
    found = spans(giver, MAX_WORDS)
    if giver is whole and avoid is not None:
        found = [(i, j) for i, j in found if j <= avoid[0] or i >= avoid[1]]
    first, last = scene.choose(found)
    return middle(giver, first, last), ((giver, first), (giver, last))


def _words(piece: Piece) -> Words:
    return tuple(word.label for word in piece.utterance.words[piece.first : piece.last])


def _edit(target: Utterance, span: Span, *, old: Words) -> WordEdit:
    """The edit whose target is this utterance, with the words of `span` new, or none where it is empty."""
    labels = tuple(word.label for word in target.words)
    return WordEdit(before=labels[: span[0]], old=old, new=labels[span[0] : span[1]], after=labels[span[1] :])


def _region(spoken: Utterance, first: int, count: int) -> Region:
    """Where words are spoken, fused neighbours with them; an empty place for no words."""
    if count == 0:
        place = boundary(spoken, first)
        return place, place
    return spoken.words[first].start, spoken.words[first + count - 1].end
