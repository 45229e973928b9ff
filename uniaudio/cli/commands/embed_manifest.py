"""`uniaudio embed-manifest`: a manifest put into its audio file, as C2PA content credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.commands.verify_audio import read_manifest
from uniaudio.cli.files import check_output, existing_file, writing
from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import connected


def embed_manifest(
    audio: Annotated[str, typer.Argument(metavar="AUDIO", help="WAV or MP3 file that was made here.")],
    output: Annotated[str, typer.Option("--output", "-o", help="File to write.")],
    manifest: Annotated[str, typer.Option("--manifest", help="The manifest that came with it.")],
    chain: Annotated[
        Path,
        typer.Option(
            "--chain", exists=True, dir_okay=False, help="PEM file of your certificates, yours first."
        ),
    ],
    key: Annotated[
        Path, typer.Option("--key", exists=True, dir_okay=False, help="PEM file of your private key (P-256).")
    ],
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
) -> None:
    """Write a copy of a file with its verified manifest inside, as C2PA content credentials."""
    check_output(output, [audio], as_json=False)
    content, token = existing_file(audio).read_bytes(), read_manifest(manifest)
    with reported(), connected(server=server, timeout=timeout) as client:
        from uniaudio.cli.content_credentials import embed_credentials
        from uniaudio.errors import InvalidInputError
        from uniaudio.v1 import provenance_pb2

        answer = client.verify_audio(content, manifest=token)
        if answer.manifest_verdict != provenance_pb2.MANIFEST_VERDICT_VALID:
            raise InvalidInputError(
                f"the manifest does not hold: {answer.manifest_detail}; give the one that came with this file",
                value=answer.manifest_detail,
                limit="a manifest that is signed and fits",
                remedy="give the one that came with this file",
            )
        signed = embed_credentials(content, token, chain=chain, key=key)
        with writing(output) as file:
            file.write(signed)
        say(f"{output} carries its manifest")
