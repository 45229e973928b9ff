"""Is an edit right? Which edits are judged for the watch on triplets, and what has to be heard in them."""

from __future__ import annotations

from training.data.latents import EditLatents


def cut_edits(edits: EditLatents, count: int) -> list[int]:
    """Up to `count` edits that were cut: half with the smallest boundary errors, half with the largest.

    Triplets far off are rare, so the first edits of a corpus would hold too few of them to compare.
    """
    errors = {index: edits.entry(index).boundary_error_seconds for index in range(len(edits))}
    by_error = sorted((error, index) for index, error in errors.items() if error is not None)
    count = min(count, len(by_error))
    num_worst = count // 2
    chosen = by_error[: count - num_worst] + by_error[len(by_error) - num_worst :]
    return [index for _, index in chosen]


def says_edit(source_text: str, target_text: str, heard: str) -> bool:
    """Whether the words that the edit made, and one beside them on each side, are heard in one piece.

    Further away nothing was cut, so what is heard there does not count; where no word changes all do.
    """
    wanted = _made_words(source_text.lower().split(), target_text.lower().split())
    words = heard.lower().split()
    starts = range(len(words) - len(wanted) + 1)
    return any(words[start : start + len(wanted)] == wanted for start in starts)


def _made_words(source: list[str], target: list[str]) -> list[str]:
    """Of the target what differs from the source, and a word on each side."""
    if source == target:
        return target
    shorter = min(len(source), len(target))
    first = next((i for i in range(shorter) if source[i] != target[i]), shorter)
    rest = range(shorter - first)
    last = next((i for i in rest if source[-1 - i] != target[-1 - i]), len(rest))
    return target[max(0, first - 1) : len(target) - max(0, last - 1)]
