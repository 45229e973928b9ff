"""Recordings that are files through the edits of SpeechService: short ones whole, long ones by windows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from services.orchestrator.domain import EditItem, EditOrder
from services.orchestrator.edit import Editor


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
