"""`uniaudio voices`: voices that may be imitated, kept with their consent."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.files import STANDARD, check_output, read_at_most, read_recording, writing
from uniaudio.cli.outcome import reported, say, warn
from uniaudio.cli.session import connected, print_json, print_message
from uniaudio.file_digest import sha256_of_file

if TYPE_CHECKING:
    from uniaudio.client import Voice

HELP = """Keep voices that may be imitated, each with the consent of who speaks in it.

`uniaudio speak --voice NAME` speaks in one. `revoke` takes consent back: the audio is removed, the record of it
stays; `remove` removes both.
"""
_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

voices = typer.Typer(name="voices", help=HELP, no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="Its name: small letters, digits and hyphens.")]


@voices.command()
def add(
    name: Name,
    audio: options.Recording,
    given_by: Annotated[
        str, typer.Option("--given-by", help="Who agreed: the person who speaks in the recording.")
    ],
    purpose: Annotated[str, typer.Option("--purpose", help="What they agreed to.")],
    evidence: Annotated[
        str, typer.Option("--evidence", help="What shows it, in words: what was said or signed.")
    ] = "",
    evidence_file: Annotated[
        Path | None,
        typer.Option(
            "--evidence-file",
            exists=True,
            dir_okay=False,
            help="A document that shows it; only its hash is sent.",
        ),
    ] = None,
    given_on: Annotated[
        datetime.datetime | None,
        typer.Option("--given-on", formats=_FORMATS, help="When (UTC); now if left out."),
    ] = None,
    expires_on: Annotated[
        datetime.datetime | None,
        typer.Option("--expires-on", formats=_FORMATS, help="Until when (UTC); for ever if left out."),
    ] = None,
    text: Annotated[
        str, typer.Option("--text", help="What the recording says; the model listens where this is missing.")
    ] = "",
    pcm_rate: options.PcmRate = None,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Add a voice: a recording of 0.5 to 30 s, and the consent of who speaks in it."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.client import consent

        agreed = consent(
            given_by,
            purpose,
            given_at=_utc(given_on),
            evidence=evidence,
            evidence_sha256=sha256_of_file(evidence_file) if evidence_file else "",
            expires_at=_utc(expires_on),
        )
        voice = client.voices.create(name, read_recording(audio, pcm_rate), agreed, transcript=text)
        if json:
            print_message(voice)
        else:
            say(f"{voice.voice_id}: {voice.audio_seconds:.1f} s, says {voice.transcript!r}")


@voices.command(name="list")
def list_voices(
    server: options.Server = "127.0.0.1:50051", timeout: options.Timeout = 30.0, json: options.Json = False
) -> None:
    """List your voices."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from google.protobuf.json_format import MessageToDict

        found = client.voices.list()
        if json:
            print_json([MessageToDict(voice, preserving_proto_field_name=True) for voice in found])
            return
        for voice in found:
            typer.echo(f"{voice.voice_id:20} {_state(voice):8} {voice.consent.given_by}")


@voices.command()
def show(
    name: Name,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """Show a voice and its consent."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        voice = client.voices.get(name)
        if json:
            print_message(voice)
            return
        for line in _lines(voice):
            typer.echo(line)


@voices.command()
def revoke(
    name: Name,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """Take consent back: the voice is never imitated again, its audio is removed, its record stays."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        voice = client.voices.revoke(name)
        if json:
            print_message(voice)
        else:
            say(f"{name} is revoked and its audio removed")


@voices.command()
def remove(
    name: Name,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 30.0,
    json: options.Json = False,
) -> None:
    """Remove a voice, its audio and its record."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        client.voices.delete(name)
        say(f"{name} is removed")


@voices.command()
def export(
    name: Name,
    output: Annotated[
        str, typer.Option("--output", "-o", help='The .safetensors file to write; "-" is standard output.')
    ],
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 60.0,
    json: options.Json = False,
) -> None:
    """Write a voice to a file: its recording, its consent, and what the model continues when it speaks in it."""
    check_output(output, [], as_json=json)
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.client.voice_files import voice_to_bytes

        exported = client.voices.export(name)
        with writing(output) as file:
            file.write(voice_to_bytes(exported))
        if json:
            print_message(exported.voice)
        elif output != STANDARD:
            made = exported.tokenizer
            say(
                f"{name}: {len(exported.latents)} frames of tokenizer {made.name} {made.revision} in {output}"
            )


@voices.command(name="import")
def import_voice(
    file: Annotated[str, typer.Argument(metavar="FILE", help='What `export` wrote; "-" is standard input.')],
    name: Annotated[str, typer.Option("--name", help="Another name than the one in the file.")] = "",
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Add a voice from a file that `export` wrote; it is prepared from its recording, by the server's tokenizer."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.client.voice_files import MAX_FILE_BYTES, voice_from_bytes

        exported = voice_from_bytes(read_at_most(file, MAX_FILE_BYTES))
        voice = client.voices.restore(exported, voice_id=name)
        warn([exported.notice_at(client.info().tokenizer)])
        if json:
            print_message(voice)
        else:
            say(f"{voice.voice_id}: {voice.audio_seconds:.1f} s, says {voice.transcript!r}")


def _lines(voice: Voice) -> list[str]:
    agreed = voice.consent
    lines = [
        f"name      {voice.voice_id}",
        f"state     {_state(voice)}",
        f"says      {voice.transcript}",
        f"audio     {voice.audio_seconds:.2f} s, SHA-256 {voice.audio_sha256}",
        f"consent   {agreed.given_by}, {agreed.give_time.ToDatetime():%Y-%m-%d}",
        f"for       {agreed.purpose}",
    ]
    if agreed.evidence:
        lines.append(f"evidence  {agreed.evidence}")
    if agreed.evidence_sha256:
        lines.append(f"evidence  SHA-256 {agreed.evidence_sha256}")
    if agreed.HasField("expire_time"):
        lines.append(f"until     {agreed.expire_time.ToDatetime():%Y-%m-%d %H:%M}")
    return lines


def _state(voice: Voice) -> str:
    from uniaudio.v1 import voices_pb2

    return voices_pb2.VoiceState.Name(voice.state).removeprefix("VOICE_STATE_").lower()


def _utc(time: datetime.datetime | None) -> datetime.datetime | None:
    return None if time is None else time.replace(tzinfo=datetime.UTC)
