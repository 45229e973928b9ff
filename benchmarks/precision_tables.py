"""How far answers in one precision are from those in another, and the tables of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from benchmarks.precision_parts import Answers, Coded, each
from services.orchestrator.replies import parse_reply
from uniaudio.cli.tables import new_table, print_table
from uniaudio.evaluation.recordings import Waveform, read_recording
from uniaudio.evaluation.results import Value
from uniaudio.evaluation.signals import Measured, pesq_wideband, remove_delay, stoi
from uniaudio.evaluation.suites.synthetic_data import SpeechRow
from uniaudio.evaluation.word_errors import averages
from uniaudio.evaluation.word_scores import whole_errors

EXACT = "float32"
_NONE = "–"


@dataclass(frozen=True)
class Table:
    """Cells below their heads."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> Iterator[str]:
        """A line for the heads, one below them, and one for each row."""
        yield f"| {' | '.join(self.heads)} |"
        yield "|---" * len(self.heads) + "|"
        yield from (f"| {' | '.join(row)} |" for row in self.rows)

    def show(self) -> None:
        """Prints it."""
        shown = new_table(*self.heads)
        for row in self.rows:
            shown.add_row(*row)
        print_table(shown)


@dataclass(frozen=True)
class Divergence:
    """Kullback-Leibler divergence from the exact distribution of a token, in nats.

    `same_choice` is the share of positions whose likeliest token is the exact one's.
    """

    mean: float
    p99: float
    same_choice: float


def divergence(exact: Sequence[Tensor], others: Sequence[Tensor]) -> Divergence:
    """Over all positions of logits `(n, V)`."""
    distances, same = [], []
    for one, other in zip(exact, others, strict=True):
        wanted, found = one.double().log_softmax(-1), other.double().log_softmax(-1)
        distances.append((wanted.exp() * (wanted - found)).sum(-1))
        same.append(one.argmax(-1) == other.argmax(-1))
    every = torch.cat(distances)
    return Divergence(
        float(every.mean()), float(every.quantile(0.99)), float(torch.cat(same).double().mean())
    )


def snr_db(pairs: Iterable[tuple[ArrayLike, ArrayLike]]) -> Value:
    """Energy of exact signals over that of the errors of others, all together; infinite where they are equal."""
    signal = error = 0.0
    for exact, other in pairs:
        wanted = np.asarray(exact, np.float64)
        signal += float(np.square(wanted).sum())
        error += float(np.square(wanted - np.asarray(other, np.float64)).sum())
    if signal == 0:
        return None
    return float("inf") if error == 0 else 10 * float(np.log10(signal / error))


def word_error_rate(rows: Sequence[SpeechRow], heard: Sequence[str]) -> Value:
    """Errors over all words of the rows' texts."""
    errors = [whole_errors(row.text, text, row.language) for row, text in zip(rows, heard, strict=True)]
    return averages(errors).micro


def equal_share(exact: Sequence[object], others: Sequence[object]) -> float:
    """How many are the same."""
    return sum(one == other for one, other in zip(exact, others, strict=True)) / len(exact)


def words_of(replies: Sequence[str]) -> list[str]:
    """The words of replies, as callers get them."""
    return [parse_reply(reply, "").text for reply in replies]


def language_table(
    recordings: Sequence[SpeechRow],
    sentences: Sequence[SpeechRow],
    answers: dict[str, Answers],
    heard: dict[str, list[str]],
    patch_size: int,
) -> Table:
    """A row for each precision of the language model; `heard` has what a recogniser makes of its speech."""
    rows = []
    for name, found in answers.items():
        written = show_percent(word_error_rate(recordings, words_of(found.replies)))
        spoken = show_percent(word_error_rate(sentences, heard[name])) if name in heard else _NONE
        beside = {} if name == EXACT else _language_distances(answers[EXACT], found, patch_size)
        rows.append({"language model": name, "transcripts' WER": written, "speech's WER": spoken, **beside})
    return _table(rows)


def _language_distances(exact: Answers, found: Answers, patch_size: int) -> dict[str, str]:
    far = divergence(exact.logits, found.logits)
    speech = list(zip(exact.speech, found.speech, strict=True))
    first = [(one[:patch_size], other[:patch_size]) for one, other in speech]
    equal_length = [(one, other) for one, other in speech if len(one) == len(other)]
    return {
        "equal transcripts": show_percent(equal_share(words_of(exact.replies), words_of(found.replies)), 1),
        "KL mean, nats": f"{far.mean:.2g}",
        "KL p99, nats": f"{far.p99:.2g}",
        "same likeliest token": show_percent(far.same_choice),
        "SNR of the first patch": _decibels(snr_db(first)),
        "speech of equal length": show_percent(len(equal_length) / len(speech), 1),
        "its SNR": _decibels(snr_db(equal_length)),
    }


def tokenizer_table(
    recordings: Sequence[SpeechRow], coded: dict[str, Coded], replies: dict[str, Sequence[str]]
) -> Table:
    """A row for each precision of the tokenizer; `replies` are the exact language model's to its latents."""
    originals = [read_recording(row.audio) for row in recordings]
    exact = coded[EXACT]
    rows = []
    for name, found in coded.items():
        told = f"tokenizer, {name}"
        aligned = [_aligned(*pair) for pair in zip(originals, found.waveforms, strict=True)]
        row = {
            "tokenizer": name,
            "PESQ-wb": _mean([pesq_wideband(*pair) for pair in each(aligned, f"{told}: PESQ")], 3),
            "STOI": _mean([stoi(*pair) for pair in each(aligned, f"{told}: STOI")], 4),
            "transcripts' WER": show_percent(word_error_rate(recordings, words_of(replies[name]))),
        }
        if name != EXACT:
            same = equal_share(words_of(replies[EXACT]), words_of(replies[name]))
            row |= {
                "equal transcripts": show_percent(same, 1),
                "latents' SNR": _decibels(snr_db(zip(exact.latents, found.latents, strict=True))),
                "sound's SNR": _decibels(snr_db(zip(exact.waveforms, found.waveforms, strict=True))),
            }
        rows.append(row)
    return _table(rows)


def _aligned(original: Waveform, waveform: Waveform) -> tuple[Waveform, Waveform]:
    aligned = remove_delay(original, waveform)
    return aligned.reference, aligned.degraded


def _table(rows: Sequence[dict[str, str]]) -> Table:
    """Cells by their heads; what a row does not have is a dash."""
    heads = list(dict.fromkeys(head for row in rows for head in row))
    return Table(heads, [[row.get(head, _NONE) for head in heads] for row in rows])


def show_percent(share: Value, digits: int = 2) -> str:
    """A share for people; a dash for none."""
    return _NONE if share is None else f"{100 * share:.{digits}f} %"


def _decibels(value: Value) -> str:
    if value is None:
        return _NONE
    return "exact" if value == float("inf") else f"{value:.1f} dB"


def _mean(measured: Sequence[Measured], digits: int) -> str:
    """Over what could be judged, with its number where that is not all."""
    values = [one.value for one in measured if one.value is not None]
    if not values:
        return _NONE
    some = "" if len(values) == len(measured) else f" ({len(values)} of {len(measured)})"
    return f"{sum(values) / len(values):.{digits}f}{some}"
