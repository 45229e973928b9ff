"""`uniaudio speak`: text to speech."""

from __future__ import annotations

import sys
from typing import Annotated, Literal, cast

import typer

from uniaudio.cli import options
from uniaudio.cli.files import STANDARD, check_output, choose_format, read_recording, write_manifest, writing
from uniaudio.cli.outcome import reported, say, warn
from uniaudio.cli.session import connected, print_message, progress


def speak(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='What to say; "-" reads it from standard input.')
    ],
    output: options.AudioOutput,
    voice: Annotated[
        str | None, typer.Option("--voice", help="A recording (0.5 to 30 s) of the voice to imitate.")
    ] = None,
    voice_text: Annotated[
        str,
        typer.Option(
            "--voice-text", help="What that recording says; the model listens where this is missing."
        ),
    ] = "",
    normalization: Annotated[
        str,
        typer.Option(
            "--normalization", help="How numbers and dates are read: auto, none or reference-chinese."
        ),
    ] = "auto",
    format: options.AudioFormatName = None,
    rate: options.OutputRate = None,
    seed: options.Seed = None,
    guidance_scale: options.GuidanceScale = None,
    temperature: options.Temperature = None,
    solver_steps: options.SolverSteps = None,
    manifest: options.Manifest = None,
    text_in_manifest: options.TextInManifest = False,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Speak a text, in the voice of a recording where one is given."""
    check_output(output, [voice] if voice else [], as_json=json)
    chosen = choose_format(output, format)
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.client import sampling

        stream = client.synthesize(
            sys.stdin.read() if text == STANDARD else text,
            prompt_audio=read_recording(voice, None) if voice else None,
            prompt_text=voice_text,
            # Checked by the client, which names the choices.
            normalization=cast(Literal["auto", "none", "reference_chinese"], normalization.replace("-", "_")),
            sampling=sampling(
                seed=seed,
                guidance_scale=guidance_scale,
                temperature=temperature,
                num_solver_steps=solver_steps,
            ),
            output_format=chosen,
            output_sample_rate=rate,
            text_in_manifest=text_in_manifest,
        )
        with progress("speaking", quiet=json) as report, writing(output, is_wav=chosen == "wav") as file:
            for piece in stream:
                file.write(piece.content)
                file.flush()
                report(f"speaking, {piece.start_seconds:.1f} s", None)
        write_manifest(manifest, stream.report.provenance)
        warn([*stream.report.warnings, stream.report.model.notice])
        if json:
            print_message(stream.report)
        elif output != STANDARD:
            say(f"{stream.report.audio_seconds:.2f} s of speech in {output}")
