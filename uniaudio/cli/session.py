"""What every command that talks to a service shares: the client, progress, the answer as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from uniaudio.client import SpeechClient

Report = Callable[[str, float | None], None]
"""Told what is being done, and how far it is (0 to 1, None where nobody knows)."""


@contextmanager
def connected(*, server: str | None = None, timeout: float) -> Iterator[SpeechClient]:
    """A client of the services: with the token and over TLS, and traced, where options and environment ask for it."""
    from uniaudio.cli.access import check_secret, find_token
    from uniaudio.client import DEFAULT_ADDRESS, SpeechClient
    from uniaudio.runtime.settings import read_settings
    from uniaudio.runtime.telemetry import setup_telemetry
    from uniaudio.runtime.tls import ClientTlsSettings, client_credentials

    token, tls = find_token(), read_settings(ClientTlsSettings)
    if token and server and not tls.is_on:
        check_secret(server)
    stop_telemetry = setup_telemetry("uniaudio-cli")
    try:
        with SpeechClient(
            server or DEFAULT_ADDRESS,
            timeout_seconds=timeout,
            token=token,
            credentials=client_credentials(tls),
            server_name=tls.server_name,
        ) as client:
            yield client
    finally:
        stop_telemetry()


@contextmanager
def progress(title: str, *, quiet: bool = False) -> Iterator[Report]:
    """A progress line on standard error where that is a terminal, silence elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield lambda _text, _fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None)

        def report(text: str, fraction: float | None) -> None:
            shown.update(
                task, description=text, total=None if fraction is None else 1.0, completed=fraction or 0
            )

        yield report


def print_message(message: Message) -> None:
    """An answer on standard output as JSON, under the names of the protos."""
    from google.protobuf.json_format import MessageToDict

    told = MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    print_json(told)


def print_json(value: object) -> None:
    """Any value on standard output as JSON."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))
