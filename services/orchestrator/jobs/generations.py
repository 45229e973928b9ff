"""Generations that outlive their process: what the model made is kept, and gone on with.

Seen from the pipelines it is a language model. A generation is told from all others by what was asked of
which model, seeds included; one that had ended is played again, one that was interrupted goes on from its
last kept patch. It is kept in pieces, each named after all that came before it: so pieces of two workers
that made different things never come together.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np
from pydantic_core import to_json

from services.orchestrator.clients import (
    Finished,
    Follow,
    Generated,
    LanguageModel,
    PatchMade,
    Task,
    TextMade,
    Tokenizer,
)
from services.orchestrator.domain import Floats, Model, Sampling
from services.orchestrator.jobs.codec import Codec
from uniaudio.runtime.logging import get_logger
from uniaudio.runtime.object_store import ObjectStore, create_once

log = get_logger(__name__)

_PATCHES_OF_A_PIECE = 25
"""Two and a half seconds of speech: what an interruption costs at most."""
_FINISHED = Codec(Finished)


class KeepingModel:
    """A language model whose generations are kept below `folder` of a store."""

    def __init__(self, model: LanguageModel, store: ObjectStore, folder: str) -> None:
        self._model = model
        self._store = store
        self._folder = folder
        self._served: Model | None = None

    async def model(self) -> Model:
        """Which model is served; asked once."""
        self._served = self._served or await self._model.model()
        return self._served

    async def generate(
        self, task: Task, latents: Floats | None, sampling: Sampling, *, made: Floats | None = None
    ) -> AsyncGenerator[Generated, None]:
        """See LanguageModel; what an earlier attempt made is not computed again."""
        assert made is None, "what was made is found by itself"
        if isinstance(task, Follow):  # makes nothing, and is quickly done again
            async with aclosing(self._model.generate(task, latents, sampling)) as events:
                async for event in events:
                    yield event
            return
        name = _name(await self.model(), task, latents, sampling)
        keeper = _Keeper(self._store, f"{self._folder}/{name}")
        await asyncio.to_thread(keeper.load)
        if keeper.finished is not None:
            for event in keeper.events():
                yield event
            return
        async with aclosing(self._run(task, latents, sampling, keeper)) as events:
            async for event in events:
                yield event

    async def _run(
        self, task: Task, latents: Floats | None, sampling: Sampling, keeper: _Keeper
    ) -> AsyncGenerator[Generated, None]:
        if keeper.patches:
            resumed = self._model.generate(task, latents, sampling, made=np.stack(keeper.patches))
            async with aclosing(_with_text(resumed, keeper.text)) as events:
                async for event in events:
                    if event is None:
                        break  # the text came out otherwise: the kept patches do not belong to it
                    await keeper.take(event)
                    yield event
                else:
                    return
            log.warning("a generation begins anew, its text came out otherwise")
            keeper.give_up()
        async with aclosing(self._model.generate(task, latents, sampling)) as events:
            async for event in events:
                await keeper.take(event)
                yield event


class KeepingTokenizer:
    """A tokenizer whose latents are kept: an attempt that goes on must ask the model the very same question."""

    def __init__(self, tokenizer: Tokenizer, store: ObjectStore, folder: str) -> None:
        self._tokenizer = tokenizer
        self._store = store
        self._folder = folder

    async def model(self) -> Model:
        """See Tokenizer."""
        return await self._tokenizer.model()

    async def check_ready(self) -> None:
        """See Tokenizer."""
        await self._tokenizer.check_ready()

    async def encode(self, waveform: Floats) -> Floats:
        """See Tokenizer; the same waveform has the same latents in every attempt, bit for bit."""
        key = f"{self._folder}/{hashlib.sha256(waveform.astype('<f4').tobytes()).hexdigest()[:32]}"
        kept = await asyncio.to_thread(self._store.read, key)
        if kept is None:
            latents = await self._tokenizer.encode(waveform)
            if await asyncio.to_thread(self._store.create, key, _array_bytes(latents)) is not None:
                return latents
            kept = await asyncio.to_thread(self._store.read, key)  # another attempt's, which counts
            assert kept is not None, "latents are removed with the whole job only"
        return _array(kept.data)

    async def spell(self, latents: Floats) -> Floats:
        """See Tokenizer."""
        return await self._tokenizer.spell(latents)

    def stream_decode(self, latents: AsyncIterable[Floats]) -> AsyncGenerator[Floats, None]:
        """See Tokenizer."""
        return self._tokenizer.stream_decode(latents)


def _array_bytes(array: Floats) -> bytes:
    content = io.BytesIO()
    np.save(content, array.astype("<f4"), allow_pickle=False)
    return content.getvalue()


def _array(content: bytes) -> Floats:
    array: Floats = np.load(io.BytesIO(content), allow_pickle=False)
    return array


async def _with_text(
    events: AsyncGenerator[Generated, None], text: str
) -> AsyncGenerator[Generated | None, None]:
    """The events, where the text before the first patch is `text`; None and no more where it is not."""
    written, is_told = "", False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, TextMade):
                written += event.text
                continue
            if written != text:
                yield None
                return
            if text and not is_told:
                yield TextMade(text)
                is_told = True
            yield event


@dataclass
class _Keeper:
    """What is kept of one generation, and keeps more of it as it passes."""

    store: ObjectStore
    folder: str
    text: str = ""
    patches: list[Floats] = field(default_factory=list)
    finished: Finished | None = None
    _so_far: str = "begin"  # a digest of all pieces
    _new: list[Floats] = field(default_factory=list)
    _num_passed: int = 0
    _is_kept: bool = True

    def load(self) -> None:
        """Finds what is there."""
        names = {info.key.rsplit("/", 1)[1] for info in self.store.list_folder(self.folder)}
        while self._piece_name() in names:
            piece = self.store.read(f"{self.folder}/{self._piece_name()}")
            assert piece is not None, "pieces are removed with the whole job only"
            self._follow(piece.data)
        if (end := f"end-{self._so_far}") in names and (found := self.store.read(f"{self.folder}/{end}")):
            self.finished = _FINISHED.load(found.data.decode())
            self.text = self.finished.text

    def events(self) -> list[Generated]:
        """All that was made, in order."""
        text = [TextMade(self.text)] if self.text else []
        end = [self.finished] if self.finished else []
        return [*text, *map(PatchMade, self.patches), *end]

    def give_up(self) -> None:
        """Keeps nothing more."""
        self._is_kept = False

    async def take(self, event: Generated) -> None:
        """Keeps what passes, where it is not kept already."""
        match event:
            case TextMade() if not self.patches:
                self.text += event.text
            case PatchMade():
                self._num_passed += 1
                if self._num_passed > len(self.patches):
                    self._new.append(event.latents)
                if len(self._new) >= _PATCHES_OF_A_PIECE:
                    await self._store_piece()
            case Finished():
                await self._store_piece()
                await self._create(f"end-{self._so_far}", to_json(event))

    async def _store_piece(self) -> None:
        if not self._new:
            return
        text = b"" if self.patches else self.text.encode()
        data = len(text).to_bytes(4, "little") + text + _array_bytes(np.stack(self._new))
        await self._create(self._piece_name(), data)
        self._new = []
        self._follow(data)

    async def _create(self, name: str, data: bytes) -> None:
        if self._is_kept and not await asyncio.to_thread(
            create_once, self.store, f"{self.folder}/{name}", data
        ):
            self.give_up()  # another worker made something else here

    def _follow(self, data: bytes) -> None:
        end_of_text = 4 + int.from_bytes(data[:4], "little")
        if not self.patches:
            self.text = data[4:end_of_text].decode()
        self.patches.extend(_array(data[end_of_text:]))
        self._so_far = hashlib.sha256(self._so_far.encode() + data).hexdigest()[:32]

    def _piece_name(self) -> str:
        return f"{len(self.patches):06d}-{self._so_far}"


def _name(model: Model, task: Task, latents: Floats | None, sampling: Sampling) -> str:
    """Tells a generation from every other."""
    asked = to_json([model.name, model.revision, type(task).__name__, task, sampling])
    content = hashlib.sha256(asked)
    if latents is not None:
        content.update(repr(latents.shape).encode() + latents.astype("<f4").tobytes())
    return content.hexdigest()[:32]
