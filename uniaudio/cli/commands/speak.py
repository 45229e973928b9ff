"""`uniaudio speak`: text to speech."""

from __future__ import annotations

import re
import sys
from typing import Annotated, Literal, cast

import typer

from uniaudio.cli import options
from uniaudio.cli.files import STANDARD, check_output, choose_format, read_recording, write_manifest, writing
from uniaudio.cli.outcome import reported, say, warn
from uniaudio.cli.session import connected, print_message, progress

_VOICE_NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")


def is_voice_name(voice: str | None) -> bool:
    """Whether it names a voice that was added; a path with a dot or a slash does not."""
    return voice is not None and _VOICE_NAME.fullmatch(voice) is not None


def speak(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help='What to say; "-" reads it from standard input.')
    ],
    output: options.AudioOutput,
    voice: Annotated[
        str | None,
        typer.Option(
            "--voice",
            help="The voice to imitate: the name of one that was added (uniaudio voices), or a recording "
            "(0.5 to 30 s).",
        ),
    ] = None,
    voice_text: Annotated[
        str,
        typer.Option(
            "--voice-text", help="What the recording says; the model listens where this is missing."
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
    takes: options.Takes = None,
    manifest: options.Manifest = None,
    text_in_manifest: options.TextInManifest = False,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Speak a text, in the voice of a recording where one is given."""
    voice_id, prompt = (voice or "", None) if is_voice_name(voice) else ("", voice)
    check_output(output, [prompt] if prompt else [], as_json=json)
    chosen = choose_format(output, format)
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.client import sampling

        stream = client.synthesize(
            sys.stdin.read() if text == STANDARD else text,
            prompt_audio=read_recording(prompt, None) if prompt else None,
            prompt_text=voice_text,
            voice_id=voice_id,
            # Checked by the client, which names the choices.
            normalization=cast(Literal["auto", "none", "reference_chinese"], normalization.replace("-", "_")),
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
