"""`uniaudio transcribe`: recording to text."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.files import STANDARD, read_recording
from uniaudio.cli.outcome import reported, warn
from uniaudio.cli.session import connected, print_message, progress

if TYPE_CHECKING:
    from uniaudio.client import SpeechClient
    from uniaudio.v1 import speech_pb2

_LIVE_PIECE_SECONDS = 0.1


def transcribe(
    audio: options.Recording,
    language: Annotated[
        str, typer.Option("--language", help='Force the language, e.g. "English" or "Chinese".')
    ] = "",
    context: Annotated[
        list[str] | None,
        typer.Option("--context", help="Words that may occur; may be given again and again."),
    ] = None,
    times: Annotated[
        bool, typer.Option("--times", help="Print each window's start and end in seconds.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--live", help='Read raw samples from "-" as they come (with --pcm-rate).')
    ] = False,
    pcm_rate: options.PcmRate = None,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Print the words of a recording."""
    if live and (audio != STANDARD or pcm_rate is None):
        raise typer.BadParameter(
            'Live audio is raw 16-bit mono samples on standard input: use "-" and --pcm-rate.',
            param_hint="--live",
        )
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        if live and pcm_rate is not None:
            _transcribe_live(client, pcm_rate, language, context or [], as_json=json)
            return
        recording = read_recording(audio, pcm_rate)
        with progress("transcribing", quiet=json):
            answer = client.transcribe(recording, language=language, context_phrases=context or [])
        warn([answer.model.notice, *_cut_off(answer.segments)])
        if json:
            print_message(answer)
        elif times:
            for segment in answer.segments:
                span = segment.time_range
                typer.echo(f"[{span.start_seconds:.2f} - {span.end_seconds:.2f}] {segment.text}")
        else:
            typer.echo(answer.text)


def _cut_off(segments: Iterable[speech_pb2.TranscriptSegment]) -> Iterator[str]:
    for segment in segments:
        if segment.truncated:
            span = segment.time_range
            yield (
                f"the model was cut off while it read {span.start_seconds:.2f} - {span.end_seconds:.2f} s: "
                "words may be missing there"
            )


def _transcribe_live(
    client: SpeechClient, rate: int, language: str, context: list[str], *, as_json: bool
) -> None:
    """Final texts on standard output as they come; provisional ones only on a terminal, or as JSON."""
    show_provisional = sys.stderr.isatty() and not as_json
    answers = client.stream_transcribe(
        _live_pieces(rate),
        sample_rate=rate,
        language=language,
        context_phrases=context,
        interim_results=as_json or show_provisional,
    )
    has_warned = False
    for answer in answers:
        if answer.HasField("model") and not has_warned:
            warn([answer.model.notice])
            has_warned = True
        if as_json:
            print_message(answer)
        elif answer.final:
            typer.echo(answer.segment.text)
        elif show_provisional:
            typer.echo(f"\r\x1b[K{answer.segment.text}\r", err=True, nl=False)


def _live_pieces(rate: int) -> Iterator[bytes]:
    size = max(2, int(rate * _LIVE_PIECE_SECONDS) * 2)
    while piece := sys.stdin.buffer.read(size):
        yield piece
