"""Seed-TTS-eval: words and voice of zero-shot speech (evaluation 1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.bench import Bench, mean_of
from uniaudio.evaluation.normalize import Language
from uniaudio.evaluation.results import Item, Row, SuiteResult, Table, Value, coverage_row, mean
from uniaudio.evaluation.word_scores import whole_rate, whole_row

SETS = ("meta.lst", "hardcase.lst", "non_para_reconstruct_meta.lst")
_ROLES = ("system", "copy", "floor")


@dataclass(frozen=True, kw_only=True)
class SeedRow:
    """One line of a meta file; `prompt` and `truth` are None where the line does not name them."""

    id: str
    text: str
    prompt: Path | None = None
    prompt_text: str = ""
    truth: Path | None = None


def parse_line(line: str, folder: Path) -> SeedRow:
    """A line of 2, 3, 4 or 5 fields; InvalidInputError for another count."""
    fields = line.rstrip("\r\n").split("|")
    match fields:
        case [name, prompt_text, prompt, text, truth]:
            return SeedRow(
                id=name, text=text, prompt=folder / prompt, prompt_text=prompt_text, truth=folder / truth
            )
        case [name, prompt_text, prompt, text]:
            return SeedRow(id=name, text=text, prompt=folder / prompt, prompt_text=prompt_text)
        case [name, text, prompt]:
            return SeedRow(id=name.removesuffix(".wav"), text=text, prompt=folder / prompt)
        case [name, text]:
            return SeedRow(id=name, text=text)
    raise InvalidInputError(f"a line has {len(fields)} fields, 2 to 5 are known: {line[:80]!r}")


def evaluate(bench: Bench) -> SuiteResult:
    """Every meta file under `en/` and `zh/`; InvalidInputError where there is none."""
    tables: list[Table] = []
    items: list[Item] = []
    languages: tuple[Language, ...] = ("en", "zh")
    for language in languages:
        for name in SETS:
            path = bench.data / language / name
            if path.is_file():
                lines = path.read_text(encoding="utf-8").splitlines()
                rows = [parse_line(line, path.parent) for line in lines if line.strip()]
                found, some = _evaluate_set(bench, f"{language}/{path.stem}", language, rows[: bench.limit])
                tables += found
                items += some
    if not tables:
        raise InvalidInputError(
            f"{bench.data} holds no en/meta.lst or zh/meta.lst: name the root of seed-tts-eval"
        )
    return SuiteResult(
        suite="seed-tts", settings=bench.settings(), models=bench.models(), tables=tables, items=items
    )


def _evaluate_set(
    bench: Bench, title: str, language: Language, rows: Sequence[SeedRow]
) -> tuple[list[Table], list[Item]]:
    by_role: dict[str, list[Item]] = {role: [] for role in _ROLES}
    for row in bench.each(title, rows):
        paths = (_output(bench, title, row), row.prompt, row.truth)
        for role, path in zip(_ROLES, paths, strict=True):
            by_role[role].append(_item(bench, title, language, row, path))
    return [
        _table(bench, title, language, rows, by_role, scored_cleanly) for scored_cleanly in (False, True)
    ], by_role["system"]


def _output(bench: Bench, title: str, row: SeedRow) -> Path | None:
    flat = bench.outputs.folder / f"{row.id}.wav"
    key = row.id if flat.is_file() else f"{title}/{row.id}"
    return bench.outputs.audio(key, lambda system: system.speak(row.text, row.prompt, row.prompt_text))


def _item(bench: Bench, title: str, language: Language, row: SeedRow, path: Path | None) -> Item:
    item = Item(id=row.id, task=title, texts={"text": row.text}, badness=9.0)
    item.values = dict(bench.likenesses(row.prompt, path))
    if row.prompt is not None:
        item.audio["prompt"] = row.prompt
    if path is None:
        item.reasons["all"] = bench.outputs.failures.get(row.id, "no output")
        return item
    item.audio["output"] = path
    for suffix, words in bench.heard(path, language).items():
        item.texts[f"heard ({suffix})"] = words or ""
        item.values[f"wer_{suffix}"] = whole_rate(row.text, words or "", language)
        item.badness = item.values[f"wer_{suffix}"] or 0.0
    return item


def _table(
    bench: Bench,
    title: str,
    language: Language,
    rows: Sequence[SeedRow],
    by_role: dict[str, list[Item]],
    is_clean: bool,
) -> Table:
    found = [_row(bench, role, language, rows, by_role[role], is_clean) for role in _ROLES]
    found.append(coverage_row(found[0].num_scored, len(rows)))
    metrics = list(found[0].values)
    published = "items without an output are left out; WER is the mean over items, rounded to 3 decimals"
    return Table(
        title=title,
        metrics=metrics,
        rows=found,
        scoring="clean" if is_clean else "compat",
        notes=[
            "copy: the prompt against the text; floor: the true recording, where there is one",
            "items without an output count as all wrong" if is_clean else published,
        ],
    )


def _row(
    bench: Bench,
    role: str,
    language: Language,
    rows: Sequence[SeedRow],
    items: Sequence[Item],
    is_clean: bool,
) -> Row:
    present = [item for item in items if "output" in item.audio]
    values: dict[str, Value] = {}
    for suffix in bench.suffixes(language):
        pairs = [
            (row.text, item.texts.get(f"heard ({suffix})")) for row, item in zip(rows, items, strict=True)
        ]
        rates = whole_row(role, pairs, language, suffix, clean=is_clean).values
        macro = rates[f"wer_{suffix}/macro"]
        if is_clean:
            values |= rates
        else:
            rates_of_items = [item.values[f"wer_{suffix}"] or 0.0 for item in present]
            values[f"wer_{suffix}/macro"] = None if macro is None else round(macro, 5)
            values[f"over_half_{suffix}"] = float(sum(rate > 0.5 for rate in rates_of_items))
    for name in bench.sims():
        likeness = mean_of(present, name)
        values[name] = None if likeness is None else round(likeness, 3)
        if not is_clean:
            values[f"variance_{name}"] = _variance([item.values[name] for item in present])
    if not bench.suffixes(language):
        values["wer"] = None
    return Row(
        label=role,
        values=values,
        num_scored=len(present),
        num_expected=len(items),
        reasons=bench.absent(language),
    )


def _variance(values: Sequence[Value]) -> Value:
    centre = mean(values)
    return None if centre is None else mean([(value - centre) ** 2 for value in values if value is not None])
