"""`uniaudio edit`: a recording and an instruction to an edited recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from uniaudio.cli import options
from uniaudio.cli.files import STANDARD, check_output, choose_format, read_recording, write_manifest, writing
from uniaudio.cli.outcome import reported, say, warn
from uniaudio.cli.session import connected, print_message, progress

if TYPE_CHECKING:
    from uniaudio.client import EditPlan, EditReport
    from uniaudio.v1.edits_pb2 import EditCheck


def edit(
    audio: options.Recording,
    instruction: Annotated[
        str,
        typer.Argument(
            metavar="INSTRUCTION", help='What to do, in English or Chinese, e.g. "make it 1.5 times faster".'
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help='File to write; its ending chooses the format. "-" is standard output.'
        ),
    ] = "",
    engine: Annotated[
        str,
        typer.Option(
            "--engine", help="Who does it: auto (exact where the edit can be exact), model, or exact."
        ),
    ] = "auto",
    transcript: Annotated[
        str, typer.Option("--transcript", help="What the recording says, where you know it.")
    ] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    regenerate: Annotated[
        bool, typer.Option("--regenerate", help="Do not copy what was not edited from the source.")
    ] = False,
    format: options.AudioFormatName = None,
    rate: options.OutputRate = None,
    pcm_rate: options.PcmRate = None,
    seed: options.Seed = None,
    guidance_scale: options.GuidanceScale = None,
    temperature: options.Temperature = None,
    solver_steps: options.SolverSteps = None,
    takes: options.Takes = None,
    manifest: options.Manifest = None,
    text_in_manifest: options.TextInManifest = False,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Change a recording as an instruction says."""
    if not plan and not output:
        raise typer.BadParameter(
            "Say where to write the result, or ask for the --plan alone.", param_hint="--output"
        )
    if not plan:
        check_output(output, [audio], as_json=json)
    chosen = "wav" if plan else choose_format(output, format)
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.client import AudioPiece, Progress, sampling

        stream = client.edit(
            read_recording(audio, pcm_rate),
            instruction,
            # Checked by the client, which names the choices.
            engine=cast(Literal["auto", "model", "exact"], engine),
            transcript=transcript,
            regenerate_untouched=regenerate,
            validate_only=plan,
            sampling=sampling(
                seed=seed,
                guidance_scale=guidance_scale,
                temperature=temperature,
                num_solver_steps=solver_steps,
                takes=takes,
            ),
            output_format=chosen,
            output_sample_rate=rate,
            text_in_manifest=text_in_manifest,
        )
        if plan:
            stream.read()
            if json:
                print_message(stream.plan)
            else:
                typer.echo(_plan_text(stream.plan))
            return
        with progress("editing", quiet=json) as report, writing(output, is_wav=chosen == "wav") as file:
            for event in stream:
                if isinstance(event, AudioPiece):
                    file.write(event.content)
                    file.flush()
                elif isinstance(event, Progress):
                    report(event.stage, event.fraction)
        write_manifest(manifest, stream.report.provenance)
        warn([*stream.report.warnings, stream.report.model.notice])
        if json:
            print_message(stream.report)
        elif output != STANDARD:
            for line in _report_lines(stream.report, output):
                say(line)


# Of each check that a report may hold: its name for people, unit, scale and digits.
_CHECKS = {
    "duration_ratio": ("length", "×", 1.0, 3),
    "pitch_shift": ("pitch", "semitones", 1.0, 2),
    "volume_change": ("volume", "dB", 1.0, 2),
    "word_errors": ("wrong words", "%", 100.0, 0),
}


def _plan_text(plan: EditPlan) -> str:
    from uniaudio.v1 import edits_pb2

    engine = edits_pb2.EditEngine.Name(plan.engine).removeprefix("EDIT_ENGINE_").lower()
    return f"plan    {plan.summary or plan.model_instruction or plan.instruction} ({engine})"


def _report_lines(report: EditReport, output: str) -> list[str]:

    lines = [
        _plan_text(report.plan),
        f"result  {report.result_seconds:.2f} s in {output} (source {report.source_seconds:.2f} s)",
    ]
    lines += [
        f"changed {span.source.start_seconds:.2f} - {span.source.end_seconds:.2f} s, "
        f"now {span.result.start_seconds:.2f} - {span.result.end_seconds:.2f} s"
        for span in report.ranges
    ]
    if report.untouched_copied:
        lines.append("        everything else is the source's own")
    return [*lines, *(f"check   {check_text(check)}" for check in report.checks)]


def check_text(check: EditCheck) -> str:
    """A check in words: what was measured, what was asked, and whether that agrees."""
    from uniaudio.v1 import edits_pb2

    verdict = edits_pb2.CheckVerdict.Name(check.verdict).removeprefix("CHECK_VERDICT_").lower()
    label, unit, scale, digits = _CHECKS.get(check.name, (check.name, check.unit, 1.0, 3))
    if verdict == "skipped":
        return f"{label}: skipped, {check.detail}"

    def number(value: float) -> str:
        return f"{round(scale * value, digits) + 0.0:.{digits}f}"  # + 0.0: no "-0"

    if check.name == "word_errors":
        asked = f"at most {number(check.tolerance)}"
    elif float(number(check.tolerance)) == 0:
        asked = number(check.expected)
    else:
        asked = f"{number(check.expected)} ± {number(check.tolerance)}"
    return f"{label} {number(check.measured)} {unit}, asked {asked} {unit}: {verdict}"
