"""What a job's edits give without jobs."""

from __future__ import annotations

from services.orchestrator.domain import AudioBytes, EditOrder, Recording, Sampling
from services.orchestrator.edit import Editor
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import FakeLanguageModel, FakeTokenizer, FakeTools
from tests.faults.load import INSTRUCTION, Order
from tests.jobs_worker import speaking
from uniaudio.audio.encode import wav_header
from uniaudio.audio.formats import AudioEncoding, AudioFormat

_SAMPLE_RATE, _HEADER_BYTES = 16_000, 44
_BETWEEN = AudioFormat(encoding=AudioEncoding.PCM_F32LE, sample_rate=_SAMPLE_RATE, num_channels=1)
_WAV = AudioFormat(encoding=AudioEncoding.WAV)


async def undisturbed(order: Order, index: int) -> bytes:
    """The file that an item's chain of edits gives, one edit after another."""
    seeds = order.seeds[index]
    content, format = order.recording, AudioFormat()
    for number, seed in enumerate(seeds):
        output = _WAV if number == len(seeds) - 1 else _BETWEEN
        tokenizer, model = FakeTokenizer(), FakeLanguageModel(speaking)
        editor = Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools())
        edit = EditOrder(
            audio=Recording(content=content, format=format),
            instruction=INSTRUCTION,
            sampling=Sampling(seed=seed),
            output=output,
        )
        content = b"".join([item.content async for item in editor.edit(edit) if isinstance(item, AudioBytes)])
        format = output
    # A file that is streamed cannot tell its length; one that is stored does.
    return wav_header(_SAMPLE_RATE, (len(content) - _HEADER_BYTES) // 2) + content[_HEADER_BYTES:]
