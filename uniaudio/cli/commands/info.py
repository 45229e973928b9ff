"""`uniaudio info`: what runs, which model, what is allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

import uniaudio
from uniaudio.cli import options
from uniaudio.cli.outcome import reported, warn
from uniaudio.cli.session import connected, print_json

if TYPE_CHECKING:
    from uniaudio.v1.audio_pb2 import ModelInfo


def info(
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 10.0,
    json: options.Json = False,
) -> None:
    """Show versions, the loaded model (trained or random) and the limits."""
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        from google.protobuf.json_format import MessageToDict

        answer = client.info()
        warn([answer.model.notice, answer.tokenizer.notice])
        if json:
            told = MessageToDict(
                answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            print_json({"client_version": uniaudio.__version__, "server_address": server, **told})
            return
        limits = (
            f"recordings of {answer.max_audio_seconds:g} s and {answer.max_audio_bytes / 2**20:g} MiB, "
            f"texts of {answer.max_text_characters} characters"
        )
        for name, value in (
            ("server", f"{server}, uniaudio {answer.version}"),
            ("client", f"uniaudio {uniaudio.__version__}"),
            ("model", _model_text(answer.model)),
            ("tokenizer", _model_text(answer.tokenizer)),
            ("speech", f"{answer.sample_rate} Hz"),
            ("limits", limits),
        ):
            typer.echo(f"{name:10}{value}")


def _model_text(model: ModelInfo) -> str:
    return f"{model.name or 'unnamed'}, revision {model.revision}, {'trained' if model.trained else 'random weights'}"
