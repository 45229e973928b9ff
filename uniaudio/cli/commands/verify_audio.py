"""`uniaudio verify-audio`: whether a recording was made here, and how."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.files import existing_file, read_recording
from uniaudio.cli.outcome import FAILED, reported
from uniaudio.cli.session import connected, print_message

if TYPE_CHECKING:
    from uniaudio.v1.provenance_pb2 import VerifyResponse

_MAX_MANIFEST_BYTES = (64 << 10) + 2


def verify_audio(
    audio: options.Recording,
    manifest: Annotated[
        str | None, typer.Option("--manifest", help="The manifest that came with the recording.")
    ] = None,
    pcm_rate: options.PcmRate = None,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Look for the watermark in a recording, and compare it with its manifest.

    Ends with 1 where there is no watermark and no manifest that is signed and fits.
    """
    token = read_manifest(manifest) if manifest is not None else ""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from uniaudio.v1 import provenance_pb2

        answer = client.verify_audio(read_recording(audio, pcm_rate), manifest=token)
        if json:
            print_message(answer)
        else:
            for line in _lines(answer):
                typer.echo(line)
        is_signed = answer.manifest_verdict == provenance_pb2.MANIFEST_VERDICT_VALID
        if not (answer.watermark.found or is_signed):
            raise typer.Exit(FAILED)


def read_manifest(path: str) -> str:
    """The manifest in a file, as far as a server takes one."""
    with existing_file(path).open("rb") as file:
        return file.read(_MAX_MANIFEST_BYTES).decode("ascii", errors="replace").strip()


def _lines(answer: VerifyResponse) -> Iterator[str]:
    mark = answer.watermark
    chance = f"score {mark.score:.1f}, chance at most {mark.false_alarm_probability:.1g}"
    if mark.found:
        yield f"watermark  found, key {mark.key_id} ({chance})"
        if mark.HasField("payload"):
            yield f"           payload {mark.payload}"
        yield from (f"           {span.start_seconds:.1f} - {span.end_seconds:.1f} s" for span in mark.ranges)
    else:
        yield f"watermark  not found ({chance})"
    yield f"manifest   {answer.manifest_detail}"
    if answer.manifest_json:
        yield f"           {answer.manifest_json}"
    yield from (
        f"generated  {span.start_seconds:.2f} - {span.end_seconds:.2f} s" for span in answer.generated
    )
