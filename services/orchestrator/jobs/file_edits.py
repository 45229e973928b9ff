"""Recordings that are files through the edits of SpeechService."""

from __future__ import annotations

import mmap
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import cast

from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import EditItem, EditOrder
from services.orchestrator.edit import Editor
from services.orchestrator.edit_tools import EditTools
from services.orchestrator.jobs.model import MAX_RECORDING_BYTES
from services.orchestrator.jobs.processing import MakeEditor
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.transcribe import Transcriber
from uniaudio.audio.limits import AudioLimits

_WHOLE_SECONDS = 180.0
"""Longer recordings are edited window by window; up to here a job gives what one request would."""


class MappedFileEditor:
    """Edits a file as one request would, without reading it into memory."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def edit(self, source: Path, order: EditOrder) -> AsyncGenerator[EditItem, None]:
        """See FileEditor."""
        with source.open("rb") as file:
            # Private: what is mended in a header changes neither the file nor anybody else's view of it.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        whole = replace(order, audio=replace(order.audio, content=cast(bytes, content)))
        async with aclosing(self._editor.edit(whole)) as items:
            async for item in items:
                yield item


def editor_maker(tools: EditTools, hallmark: Hallmark | None = None) -> MakeEditor:
    """Makes editors before the neighbours that keep what each item makes."""
    limits = AudioLimits(max_encoded_bytes=MAX_RECORDING_BYTES)

    def make(tokenizer: Tokenizer, language_model: LanguageModel) -> MappedFileEditor:
        transcriber = Transcriber(tokenizer, language_model, limits=limits)
        editor = Editor(
            tokenizer,
            language_model,
            transcriber,
            tools,
            limits=limits,
            hallmark=hallmark,
            whole_seconds=_WHOLE_SECONDS,
        )
        return MappedFileEditor(editor)

    return make
