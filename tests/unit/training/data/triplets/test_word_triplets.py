"""Edits of words: the audio, the texts, the instruction and the plan all tell the same edit."""

import numpy as np
import pytest

from tests.unit.training.data.speakers import VOICE, ListGrammar, ToneSpeaker
from training.data.triplets.instructions import wordings
from training.data.triplets.make import make_triplet
from training.data.triplets.triplet import Kind
from uniaudio.editing.grammar import parse_instruction
from uniaudio.editing.plan import EditKind
from uniaudio.editing.target import resolve_target

WORD_KINDS = [kind for kind in Kind if kind.changes_words]


def draw(kind, seed, speaker=None, **more):
    return make_triplet(
        kind, speaker or ToneSpeaker(), ListGrammar(), VOICE, np.random.default_rng(seed), **more
    )


def triplets(kind, count=40, **more):
    return [draw(kind, seed, **more) for seed in range(count)]


@pytest.mark.parametrize("kind", WORD_KINDS)
@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_instruction_is_understood_as_exactly_this_edit(kind, held_out, language):
    pool = wordings(held_out=held_out, languages=[language])
    for triplet in triplets(kind, wordings=pool):
        plan = parse_instruction(triplet.instruction.text)
        assert plan.kind is EditKind[kind.name], triplet.instruction.text
        resolved = resolve_target(plan, triplet.source.text)
        assert resolved.edited_text == triplet.target.text, triplet.instruction.text
        assert resolved.note == ""  # nothing was ambiguous
        assert triplet.instruction.held_out is held_out


@pytest.mark.parametrize("kind", WORD_KINDS)
def test_texts_are_the_words_that_are_heard(kind):
    for triplet in triplets(kind, 20):
        for side in (triplet.source, triplet.target):
            assert side.text == " ".join(word.label for word in side.words)
            assert len(side.words) >= 2
            assert all(0 <= word.start <= word.end <= side.waveform.size for word in side.words)
            assert all(a.start <= b.start for a, b in zip(side.words, side.words[1:], strict=False))
            assert side.waveform.dtype == np.float32
            assert np.abs(side.waveform).max() <= 1.0
        first, last = triplet.edit.span_words
        words = triplet.source.text.split()
        assert " ".join(words[first:last]) == triplet.edit.old
        assert " ".join([*words[:first], *triplet.edit.new.split(), *words[last:]]) == triplet.target.text


@pytest.mark.parametrize("kind", WORD_KINDS)
def test_the_plan_marks_the_place_in_the_published_form(kind):
    for triplet in triplets(kind, 10):
        first, last = triplet.edit.span_words
        words = triplet.source.text.split()
        mask = "" if kind is Kind.DELETE else "<framePatch>"
        fenced = " ".join([*words[:first], f"<edit>{mask}</edit>", *words[last:]])
        assert triplet.reasoning == f"<cot_text>{fenced}</cot_text>"
        assert (
            triplet.plan_text.replace("<edit>", "").replace("</edit>", "").split()
            == triplet.target.text.split()
        )
        assert f"<edit>{triplet.edit.new}</edit>" in triplet.plan_text


def test_both_methods_and_every_form_are_drawn():
    drawn = [triplet for kind in WORD_KINDS for triplet in triplets(kind)]
    assert 0.35 < np.mean([triplet.method == "resynth" for triplet in drawn]) < 0.65
    assert {triplet.instruction.form for triplet in drawn} == {"index", "content", "ends"}


@pytest.mark.parametrize("kind", WORD_KINDS)
def test_a_cut_keeps_the_untouched_recording_as_target_and_the_arithmetic_of_lengths(kind):
    for triplet in triplets(kind):
        if triplet.method != "splice":
            continue
        untouched = ToneSpeaker().speak(triplet.target.text, VOICE)
        np.testing.assert_array_equal(triplet.target.waveform, untouched.waveform)
        (s0, s1), (t0, t1) = triplet.source_region, triplet.target_region
        assert triplet.source.waveform.size - triplet.target.waveform.size == (s1 - s0) - (t1 - t0)
        # Outside the edit and half a crossfade the source is the target, bit for bit.
        assert s0 == t0
        np.testing.assert_array_equal(triplet.source.waveform[: s0 - 80], triplet.target.waveform[: t0 - 80])
        np.testing.assert_array_equal(
            triplet.source.waveform[s1 + 160 :], triplet.target.waveform[t1 + 160 :]
        )


def test_the_target_region_is_where_the_new_words_are():
    for kind in (Kind.INSERT, Kind.SUBSTITUTE):
        for triplet in triplets(kind, 20):
            first = triplet.edit.span_words[0]
            new = triplet.target.words[first : first + len(triplet.edit.new.split())]
            assert triplet.target_region == (new[0].start, new[-1].end)
    for triplet in triplets(Kind.DELETE, 20):
        assert triplet.target_region[0] == triplet.target_region[1]
        assert triplet.source_region[0] < triplet.source_region[1]


def test_a_fused_pair_is_never_cut_in_two():
    pairs = [(a, b) for a in ListGrammar.words[:8] for b in ListGrammar.words]
    speaker = ToneSpeaker(fused=pairs)
    for seed in range(30):
        triplet = draw(Kind.INSERT, seed, speaker)
        for recording, word in triplet.cuts:
            if 0 < word < len(recording.words):
                assert recording.words[word].start > recording.words[word - 1].start


def test_a_duplicated_word_is_never_named_by_quoting_it():
    quoted = 0
    for kind in (Kind.DELETE, Kind.SUBSTITUTE):
        for triplet in triplets(kind, 60):
            if triplet.instruction.form == "content":
                quoted += 1
                assert f" {triplet.source.text} ".count(f" {triplet.edit.old} ") == 1
    assert quoted > 20


@pytest.mark.parametrize("kind", WORD_KINDS)
def test_the_same_seed_gives_the_same_bytes(kind):
    one, again, other = draw(kind, 5), draw(kind, 5), draw(kind, 6)
    for side in ("source", "target"):
        assert getattr(one, side).waveform.tobytes() == getattr(again, side).waveform.tobytes()
    assert one.instruction == again.instruction
    assert one.edit == again.edit
    assert one.target.text != other.target.text


def test_the_edit_weighs_more_widened_by_60_ms():
    triplet = next(t for t in triplets(Kind.INSERT) if t.method == "splice" and t.edit.span_words[0] == 2)
    weights = triplet.frame_weights(triplet.target.waveform.size // 320, 320)
    start, end = triplet.target_region
    assert weights.dtype == np.float32
    assert set(weights) == {1.0, 3.0}
    heavy = np.flatnonzero(weights == 3.0)
    assert heavy[0] == (start - 960) // 320
    assert heavy[-1] == -(-(end + 960) // 320) - 1
    assert (np.diff(heavy) == 1).all()
