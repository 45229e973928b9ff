"""What quality each precision costs: transcripts, logits, speech and sound of a checkpoint, beside float32's.

    python -m benchmarks.precision --model models/nano --data test-set --recognizer judges/recognizer --limit 60

The language model and the tokenizer are changed one at a time, and run as the services run them on a CPU, in
this process. Logits are compared on the same inputs: float32's own transcripts. Speech comes from fixed seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.hardware import processor
from benchmarks.precision_parts import (
    HeldOut,
    answer,
    code,
    hear,
    load_model,
    load_tokenizer,
    read_held_out,
    read_sentences,
    transcribe,
)
from benchmarks.precision_tables import (
    EXACT,
    Table,
    language_table,
    show_percent,
    tokenizer_table,
    word_error_rate,
)
from uniaudio.checkpoint import Checkpoint
from uniaudio.evaluation.judges import TextJudge
from uniaudio.evaluation.judges_own import OwnTextJudge
from uniaudio.evaluation.suites.synthetic_data import SpeechRow
from uniaudio.nn.native.threads import take_threads_from_torch

TOKENIZER_PRECISIONS = (EXACT, "bfloat16")


@dataclass(frozen=True)
class Report:
    """What was measured on, and the tables."""

    notes: list[str]
    tables: list[Table]


def measure(
    model: Path, data: Path, judge: TextJudge | None, *, precisions: Sequence[str], limit: int | None
) -> Report:
    """All rows; `precisions` are those of the language model beside float32."""
    held_out = read_held_out(data, limit)
    tokenizers = {name: load_tokenizer(model, name) for name in TOKENIZER_PRECISIONS}
    coded = {
        name: code(tokenizer, held_out.recordings, f"tokenizer, {name}")
        for name, tokenizer in tokenizers.items()
    }
    sentences = read_sentences(tokenizers[EXACT], held_out)
    exact = load_model(model, EXACT)
    answers = {EXACT: answer(exact, coded[EXACT].latents, sentences, EXACT)}
    replies = {EXACT: answers[EXACT].replies}
    for name in TOKENIZER_PRECISIONS[1:]:
        replies[name] = transcribe(exact, coded[name].latents, f"tokenizer, {name}: transcripts")
    for name in precisions:
        packed = load_model(model, name)
        answers[name] = answer(packed, coded[EXACT].latents, sentences, name, replies[EXACT])

    said = [row for row, _, _ in held_out.sentences]
    notes, heard = [_about(model, held_out)], {}
    if judge is not None:
        notes.append(_about_judge(judge, said))
        for name, found in answers.items():
            heard[name] = hear(judge, tokenizers[EXACT], found.speech, said, f"{name}: speech is heard")
    tables = [
        language_table(held_out.recordings, said, answers, heard, exact.patch_size),
        tokenizer_table(held_out.recordings, coded, replies),
    ]
    return Report(notes, tables)


def _about(model: Path, held_out: HeldOut) -> str:
    info = Checkpoint(model).info
    words = sum(len(row.text.split()) for row in held_out.recordings)
    weights = "" if info.trained else ", whose weights are random"
    return (
        f"{info.name} {info.revision}{weights}: {len(held_out.recordings)} recordings of {words} words, "
        f"{len(held_out.sentences)} sentences."
    )


def _about_judge(judge: TextJudge, rows: list[SpeechRow]) -> str:
    heard = [judge.hear(row.audio, row.language) for row in rows]
    return (
        f"Speech is heard by the {judge.card.name} ({judge.card.revision}), whose own error rate on true recordings "
        f"of the same sentences is {show_percent(word_error_rate(rows, heard))}."
    )


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="checkpoint folder")
    parser.add_argument(
        "--data", type=Path, required=True, help="test set of `python -m training.data.test_set`"
    )
    parser.add_argument(
        "--recognizer", type=Path, help="folder of the in-house recogniser; without one that column is empty"
    )
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=["bfloat16", "int8"],
        default=["bfloat16", "int8"],
        help="beside float32",
    )
    parser.add_argument("--limit", type=int, help="only so many recordings and sentences")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--table", type=Path, help="also write the tables there")
    return parser.parse_args()


def main() -> None:
    """Measures, shows, writes."""
    options = arguments()
    torch.set_num_threads(options.threads)
    take_threads_from_torch()
    judge = OwnTextJudge(options.recognizer) if options.recognizer else None
    report = measure(options.model, options.data, judge, precisions=options.precisions, limit=options.limit)
    where = (
        f"{processor()}, {options.threads} threads, torch {torch.__version__}, {time.strftime('%Y-%m-%d')}, "
        f"`python -m benchmarks.precision {' '.join(sys.argv[1:])}`"
    )
    paragraphs = [where, *report.notes]
    for paragraph in paragraphs:
        print(paragraph)
    for table in report.tables:
        print()
        table.show()
    if options.table:
        paragraphs += ["\n".join(table.markdown()) for table in report.tables]
        options.table.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
