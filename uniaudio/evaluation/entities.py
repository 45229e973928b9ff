"""Recognition of named entities as ContextASR-Bench scores it (evaluation 1.3)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from uniaudio.evaluation.normalize import Language, normalize_context_asr
from uniaudio.evaluation.word_errors import WordErrors, count_errors
from uniaudio.text.distance import edit_distance

Tokens = list[str]


@dataclass(frozen=True)
class EntityScore:
    """`words` are all errors, `entities` those within entities; a missed entity was not heard exactly."""

    words: WordErrors
    entities: WordErrors
    num_entities: int
    num_missed: int
    missed: tuple[str, ...]


def max_distance(num_tokens: int) -> int:
    """Edits within which a stretch of text still counts as an entity of so many tokens."""
    return (num_tokens + 1) // 2 - 1


def score_entities(
    reference: str, heard: str, entities: Sequence[str], language: Language
) -> EntityScore | None:
    """The scores of one recording; None where an entity is not in the reference (the item is dropped)."""
    names = [name for name in (normalize_context_asr(entity, language) for entity in entities) if name]
    text, hypothesis = (normalize_context_asr(words, language) for words in (reference, heard))
    if any(name not in text for name in names):
        return None
    said = exact_matches(text.split(), names)
    caps = Counter(said)
    heard_exactly = exact_matches(hypothesis.split(), names, caps)
    heard_nearly = fuzzy_matches(hypothesis.split(), names)
    missed = caps - Counter(heard_exactly)
    return EntityScore(
        words=count_errors(text.split(), hypothesis.split()),
        entities=count_errors(" ".join(said).split(), " ".join(heard_nearly).split()),
        num_entities=len(said),
        num_missed=missed.total(),
        missed=tuple(missed.elements()),
    )


def exact_matches(text: Tokens, entities: Sequence[str], caps: Counter[str] | None = None) -> list[str]:
    """Every stretch of the text that is an entity, by start, then length; at most `caps` of each."""
    found = []
    by_length = {name: len(name.split()) for name in dict.fromkeys(entities)}
    for start in range(len(text)):
        for name, length in sorted(by_length.items(), key=lambda item: item[1]):
            if text[start : start + length] == name.split():
                found.append(name)
    if caps is None:
        return found
    left = Counter(caps)
    kept = []
    for name in found:
        if left[name]:
            left[name] -= 1
            kept.append(name)
    return kept


def fuzzy_matches(text: Tokens, entities: Sequence[str]) -> list[str]:
    """Stretches of the text that are an entity but for a few edits, by start, then length."""
    found: set[tuple[int, int, str]] = set()
    for name in dict.fromkeys(entities):
        wanted = name.split()
        start = 0
        while start < len(text):
            window = _nearest_window(text, start, wanted)
            if window is None:
                start += 1
                continue
            place = _find(window, wanted)
            if place is not None:
                found.add((start + place, len(wanted), name))
                start += place + len(wanted)
            else:
                found.add((start, len(window), " ".join(window)))
                start += len(window)
    return [words for _, _, words in sorted(found)]


def _nearest_window(text: Tokens, start: int, wanted: Tokens) -> Tokens | None:
    """The first window from `start` within the allowed distance, in the published order of lengths."""
    length, allowed = len(wanted), max_distance(len(wanted))
    shorter = range(length, max(1, length - allowed) - 1, -1)
    for size in (*shorter, *range(length + 1, length + allowed + 1)):
        window = text[start : start + size]
        if len(window) < size:
            continue
        if window == wanted or (allowed and edit_distance(window, wanted) <= allowed):
            return window
    return None


def _find(window: Tokens, wanted: Tokens) -> int | None:
    for place in range(len(window) - len(wanted) + 1):
        if window[place : place + len(wanted)] == wanted:
            return place
    return None
