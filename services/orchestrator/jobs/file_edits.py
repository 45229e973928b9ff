"""Recordings that are files through the edits of SpeechService."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from services.orchestrator.clients import LanguageModel, Tokenizer
from services.orchestrator.domain import EditItem, EditOrder
from services.orchestrator.edit import Editor
from services.orchestrator.edit_tools import EditTools
from services.orchestrator.jobs.processing import MakeEditor
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.transcribe import Transcriber


class WholeFileEditor:
    """Reads the file and edits it as one request."""

    def __init__(self, editor: Editor) -> None:
        self._editor = editor

    async def edit(self, source: Path, order: EditOrder) -> AsyncGenerator[EditItem, None]:
        """See FileEditor."""
        content = await asyncio.to_thread(source.read_bytes)
        whole = replace(order, audio=replace(order.audio, content=content))
        async with aclosing(self._editor.edit(whole)) as items:
            async for item in items:
                yield item


def editor_maker(tokenizer: Tokenizer, tools: EditTools, hallmark: Hallmark | None = None) -> MakeEditor:
    """Makes editors before the model of each item."""

    def make(language_model: LanguageModel) -> WholeFileEditor:
        transcriber = Transcriber(tokenizer, language_model)
        return WholeFileEditor(Editor(tokenizer, language_model, transcriber, tools, hallmark=hallmark))

    return make
