"""`uniaudio eval`: how well a system does, measured by published suites and by our own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import connected, print_json, progress

if TYPE_CHECKING:
    from uniaudio.evaluation.bench import Bench
    from uniaudio.evaluation.results import SuiteResult
    from uniaudio.evaluation.systems import System

_PAGE_WIDTH = 160  # of tables that go into a file or a pipe
SUITES = {
    "freeform-edit": "freeform",
    "seed-tts": "seed_tts",
    "contextasr": "context_asr",
    "codec": "codec",
    "synthetic": "synthetic",
}


def evaluate(
    suite: Annotated[str, typer.Argument(metavar="SUITE", help=f"One of {', '.join(SUITES)}.")],
    data: Annotated[Path, typer.Option("--data", help="The suite's test set.", exists=True, file_okay=False)],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report, and for outputs that are made.")],
    system: Annotated[
        str | None,
        typer.Option("--system", help="Address of a running uniaudio, host:port, that makes outputs."),
    ] = None,
    outputs: Annotated[
        Path | None,
        typer.Option("--outputs", help="Outputs that any system left, instead of --system.", exists=True),
    ] = None,
    recognizer: Annotated[
        Path | None,
        typer.Option(
            "--recognizer",
            help="Folder of an in-house recogniser; synthetic takes the one in models/judges.",
            exists=True,
        ),
    ] = None,
    speaker: Annotated[
        Path | None,
        typer.Option(
            "--speaker",
            help="Folder of an in-house speaker encoder; synthetic takes one from models/judges, where it is there.",
            exists=True,
        ),
    ] = None,
    whisper: Annotated[
        Path | None, typer.Option("--whisper", help="Folder of a Whisper model (transformers).", exists=True)
    ] = None,
    paraformer: Annotated[
        Path | None, typer.Option("--paraformer", help="Folder of Paraformer-zh (FunASR).", exists=True)
    ] = None,
    wavlm: Annotated[
        Path | None, typer.Option("--wavlm", help="WavLM + ECAPA speaker checkpoint (torch).", exists=True)
    ] = None,
    dnsmos: Annotated[
        Path | None, typer.Option("--dnsmos", help="DNSMOS P.835 ONNX file, or its folder.", exists=True)
    ] = None,
    recordings: Annotated[
        Path | None,
        typer.Option("--recordings", help="synthetic: real recordings to reconstruct.", exists=True),
    ] = None,
    engine: Annotated[
        str, typer.Option("--engine", help="Who edits in the system: model, auto or exact.")
    ] = "model",
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="Edits copy nothing of what was not edited.")
    ] = False,
    context: Annotated[
        str, typer.Option("--context", help="contextasr: what is told beforehand: none, coarse or fine.")
    ] = "fine",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Only so many items of each task.")
    ] = None,
    report_items: Annotated[
        int, typer.Option("--report-items", min=0, help="Items of each task to see and hear in the report.")
    ] = 6,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of everything that the system draws.")] = 0,
    timeout: Annotated[float, typer.Option("--timeout", min=0.001, help="Seconds for one answer.")] = 300.0,
    json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON.")] = False,
) -> None:
    """Measure a system on a suite; writes result.json and report.html. A second run goes on where one stopped."""
    if suite not in SUITES:
        raise typer.BadParameter(
            f"{suite!r} is not known; use one of {', '.join(SUITES)}.", param_hint="SUITE"
        )
    if (system is None) == (outputs is None):
        raise typer.BadParameter("Give either --system or --outputs.", param_hint="--system")
    for value, known, option in (
        (engine, ("model", "auto", "exact"), "--engine"),
        (context, ("none", "coarse", "fine"), "--context"),
    ):
        if value not in known:
            raise typer.BadParameter(f"{value!r} is not known; use {', '.join(known)}.", param_hint=option)
    with reported(as_json=json):
        from uniaudio.evaluation.bench import Bench
        from uniaudio.evaluation.hearing import Hearing
        from uniaudio.evaluation.judge_folder import shipped_judge
        from uniaudio.evaluation.judges import JudgePaths, load_judges
        from uniaudio.evaluation.systems import Outputs

        if suite == "synthetic":  # whose language the judges that ship know, and no other
            recognizer, speaker = (
                recognizer or shipped_judge("recognizer"),
                speaker or shipped_judge("speaker"),
            )
        paths = JudgePaths(
            recognizer=recognizer, speaker=speaker, whisper=whisper, paraformer=paraformer, wavlm=wavlm,
            dnsmos=dnsmos,
        )  # fmt: skip
        hearing = Hearing(load_judges(paths), out / "heard.jsonl")
        with _running(system, timeout, engine, regenerate, seed) as running:
            with progress(suite, quiet=json) as report:
                bench = Bench(
                    data=data, out=out, outputs=Outputs(outputs or out / "outputs", running), hearing=hearing,
                    limit=limit, recordings=recordings, context=cast(Literal["none", "coarse", "fine"], context),
                    report=report,
                )  # fmt: skip
                result = _evaluate(suite, bench, report_items)
        if json:
            print_json(result.as_dict())
        else:
            _print_result(result)
            say(f"report in {out / 'report.html'}, all numbers in {out / 'result.json'}")


@contextmanager
def _running(
    address: str | None, timeout: float, engine: str, regenerate: bool, seed: int
) -> Iterator[System | None]:
    """The running system, or None where outputs are given."""
    if address is None:
        yield None
        return
    from uniaudio.evaluation.systems import RunningSystem

    with connected(server=address, timeout=timeout) as client:
        chosen = cast(Literal["model", "auto", "exact"], engine)
        yield RunningSystem(client, engine=chosen, regenerate=regenerate, seed=seed)


def _evaluate(suite: str, bench: Bench, report_items: int) -> SuiteResult:
    import importlib

    from uniaudio.evaluation.suite_report import write_html, write_json

    result: SuiteResult = importlib.import_module(f"uniaudio.evaluation.suites.{SUITES[suite]}").evaluate(
        bench
    )
    bench.report("writing the report", None)
    write_json(result, bench.out / "result.json")
    write_html(result, bench.out / "report.html", items_per_task=report_items)
    return result


def _print_result(result: SuiteResult) -> None:
    """Tables on standard output, aims last."""
    from rich.console import Console
    from rich.table import Table

    from uniaudio.evaluation.results import unit_of

    console = Console() if sys.stdout.isatty() else Console(width=_PAGE_WIDTH)
    for table in result.tables:
        shown = Table(
            "", *table.metrics, "scored", title=f"{table.title} {table.scoring or ''}", title_justify="left"
        )
        for row in table.rows:
            cells = [unit_of(metric).show(row.values.get(metric)) for metric in table.metrics]
            shown.add_row(row.label, *cells, f"{row.num_scored} of {row.num_expected}")
        console.print(shown)
    if result.aims:
        shown = Table("what", "aim", "value", "", title="aims", title_justify="left")
        for aim in result.aims:
            shown.add_row(aim.what, aim.aim, aim.value, aim.verdict)
        console.print(shown)
