"""The published edit scorer with its quirks, and the corrected one without them."""

from __future__ import annotations

from uniaudio.evaluation.edit_accuracy import judge_clean, judge_compat, judge_compat_basic_deletion

OLD = "The old cat sleeps on the mat."
DELETED = "The cat sleeps on the mat."


def test_a_flawless_edit_is_right_in_both() -> None:
    compat = judge_compat("substitution", "a red cat sat", "a blue cat sat", "a blue cat sat", "en")
    clean = judge_clean("a red cat sat", "a blue cat sat", "a blue cat sat", "en")
    for judgement in (compat, clean):
        assert judgement.correct
        assert (judgement.outside.total, judgement.outside.num_reference) == (0, 3)


def test_punctuation_of_english_counts_in_compat_alone() -> None:
    """Quirk 1: the new word ends the sentence and is written without its full stop."""
    texts = ("He likes red.", "He likes blue.", "He likes blue")
    assert not judge_compat("substitution", *texts, "en").correct
    assert judge_clean(*texts, "en").correct
    other = ("one two three four", "one 2 three four", "One, 2 three, four.")
    assert judge_compat("substitution", *other, "en").outside.total == 3
    assert judge_clean(*other, "en").outside.total == 0


def test_anything_passes_for_a_deletion_in_compat_alone() -> None:
    """Quirk 2."""
    heard = "Something quite different was said."
    assert judge_compat("deletion", OLD, DELETED, heard, "en").correct
    assert not judge_clean(OLD, DELETED, heard, "en").correct


def test_a_failed_deletion_is_helped_in_compat_alone() -> None:
    """Quirk 3: its undeleted words are taken out of what was heard."""
    compat = judge_compat("deletion", OLD, DELETED, OLD, "en")
    assert (compat.correct, compat.outside.total) == (False, 0)
    clean = judge_clean(OLD, DELETED, OLD, "en")
    assert (clean.correct, clean.outside.total) == (False, 1)


def test_only_the_first_difference_counts_in_compat_alone() -> None:
    """Quirk 4: of 天上 to 上天 half stays in the text that should not have changed."""
    old, new, wrong = "他在天上飞", "他在上天飞", "他在上飞飞"
    assert judge_compat("insertion", old, new, "他在上天飞", "zh").correct
    assert judge_compat("insertion", old, new, wrong, "zh").correct
    assert not judge_clean(old, new, wrong, "zh").correct
    assert judge_clean(old, new, new, "zh").outside.num_reference == 3


def test_an_earlier_slip_shifts_positions_in_compat_alone() -> None:
    texts = ("i have a red hat", "i have a blue hat", "well i have a blue hat")
    assert not judge_compat("substitution", *texts, "en").correct
    clean = judge_clean(*texts, "en")
    assert (clean.correct, clean.outside.total) == (True, 1)


def test_a_deletion_leaves_its_surroundings_alone() -> None:
    assert judge_clean(OLD, DELETED, "the cat sleeps on the mat", "en").correct
    assert not judge_clean(OLD, DELETED, "the hat sleeps on the mat", "en").correct
    assert judge_clean(OLD, DELETED, "the cat sleeps on the rug", "en").correct
    assert not judge_clean(OLD, DELETED, "the cat sleeps on the old mat", "en").correct


def test_new_words_come_alone() -> None:
    assert not judge_clean("a red hat", "a blue hat", "a red blue hat", "en").correct
    assert not judge_clean("a hat", "a blue hat", "a blue blue hat", "en").correct
    assert judge_clean("a hat", "a blue hat", "a blue hat", "en").correct


def test_an_edit_of_the_wrong_kind_is_wrong() -> None:
    judgement = judge_compat("deletion", "a b c", "a b x", "a b x", "en")
    assert (judgement.correct, judgement.outside.num_reference) == (False, 3)
    assert not judge_clean("a b c", "a b c", "a b c", "en").correct


def test_insertion_in_compat_is_compared_with_the_original() -> None:
    judgement = judge_compat("insertion", "A hat.", "A new hat.", "a new hat.", "en")
    assert judgement.correct
    assert (judgement.outside.total, judgement.outside.num_reference) == (0, 2)


def test_basic_deletion_of_mandarin_reads_the_instruction() -> None:
    old, new = "我们今天去北京", "我们去北京"
    by_content, by_index = "delete '今天'", "delete the characters or words from index 3 to index 4"
    for instruction in (by_content, by_index):
        assert judge_compat_basic_deletion(instruction, old, new, "我们 去 北京").correct
        undone = judge_compat_basic_deletion(instruction, old, new, old)
        assert (undone.correct, undone.outside.total) == (False, 0)
        assert judge_compat_basic_deletion(instruction, old, new, "我").correct, "too short to reach"
    assert not judge_compat_basic_deletion("delete '明天'", old, new, new).correct
