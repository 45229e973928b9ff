"""What the model makes leaves marked and certified; what is copied stays as it was, bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest

from services.orchestrator.clients import Generated, Task, TextMade, Understand
from services.orchestrator.domain import (
    AudioBytes,
    EditOrder,
    EditReport,
    Recording,
    Sampling,
    SynthesizeOrder,
    SynthesizeReport,
)
from services.orchestrator.edit import Editor
from services.orchestrator.provenance.hallmark import Hallmark
from services.orchestrator.provenance.verifying import Agreement, AudioVerifier
from services.orchestrator.synthesize import Synthesizer
from services.orchestrator.transcribe import Transcriber
from tests.fakes_speech import (
    FakeLanguageModel,
    FakeTokenizer,
    FakeTools,
    Floats,
    noise_patches,
    silence,
    speech_like,
    split_at_bars,
)
from tests.provenance import KEY, PAYLOAD, hallmark_and_verifier
from uniaudio.audio.encode import encode_audio
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, AudioFormat
from uniaudio.audio.watermark import embed

WAV = AudioFormat(encoding=AudioEncoding.WAV)
PCM = AudioFormat(encoding=AudioEncoding.PCM_F32LE)


class NoisyTokenizer(FakeTokenizer):
    """Decodes to noise, in which a mark can be found."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    async def stream_decode(self, latents):
        async for piece in super().stream_decode(latents):
            yield piece * self.rng.uniform(-1, 1, len(piece)).astype(np.float32)


def script(task: Task, latents: Floats | None, sampling: Sampling) -> list[Generated]:
    if isinstance(task, Understand):
        return [TextMade("English\thello world")]
    return noise_patches(30)


@pytest.fixture
def keys() -> tuple[Hallmark, AudioVerifier]:
    return hallmark_and_verifier()


def synthesizer(hallmark: Hallmark | None) -> Synthesizer:
    tokenizer, model = NoisyTokenizer(), FakeLanguageModel(script)
    return Synthesizer(tokenizer, model, Transcriber(tokenizer, model), split_at_bars, hallmark=hallmark)


def editor(hallmark: Hallmark | None) -> Editor:
    tokenizer, model = NoisyTokenizer(), FakeLanguageModel(script)
    return Editor(tokenizer, model, Transcriber(tokenizer, model), FakeTools(), hallmark=hallmark)


async def run(items) -> tuple[bytes, SynthesizeReport | EditReport]:
    content, report = b"", None
    async for item in items:
        if isinstance(item, AudioBytes):
            content += item.content
        if isinstance(item, SynthesizeReport | EditReport):
            report = item
    assert report is not None
    return content, report


async def test_speech_is_marked_and_certified_while_it_leaves(keys) -> None:
    hallmark, verifier = keys
    order = SynthesizeOrder(text="one|two", sampling=Sampling(seed=7), output=WAV)
    content, report = await run(synthesizer(hallmark).synthesize(order))
    plain, plain_report = await run(synthesizer(None).synthesize(order))
    assert report.audio_seconds == plain_report.audio_seconds == 6.0
    marked = embed(decode_audio(plain), KEY, payload=PAYLOAD)
    assert np.abs(decode_audio(content) - marked).max() < 2 / 32768

    finding = await verifier.verify(Recording(content=content), report.provenance.manifest)
    assert finding.watermark.is_marked
    assert finding.watermark.payload == PAYLOAD
    assert finding.watermark_key_id == report.provenance.watermark_key_id == KEY.key_id
    assert finding.manifest.agreement is Agreement.VALID
    manifest = finding.manifest.manifest
    assert manifest is not None
    assert (manifest.action, manifest.seed, manifest.generated) == ("speak", 7, ((0.0, 6.0),))
    assert "one" not in json.dumps(manifest.model_dump())
    assert plain_report.provenance.manifest == ""
    assert not plain_report.provenance.watermarked


async def test_the_text_is_told_where_its_caller_asks_for_it(keys) -> None:
    hallmark, verifier = keys
    order = SynthesizeOrder(text="one two", output=WAV, text_in_manifest=True)
    content, report = await run(synthesizer(hallmark).synthesize(order))
    finding = await verifier.verify(Recording(content=content), report.provenance.manifest)
    assert finding.manifest.manifest is not None
    assert finding.manifest.manifest.text == "one two"


async def test_other_audio_and_no_manifest(keys) -> None:
    hallmark, verifier = keys
    _, report = await run(synthesizer(hallmark).synthesize(SynthesizeOrder(text="one", output=WAV)))
    other = Recording(content=encode_audio(speech_like(1.0), WAV))
    differs = await verifier.verify(other, report.provenance.manifest)
    missing = await verifier.verify(other, "")
    wrong = await verifier.verify(other, "a.b.c")
    assert [one.manifest.agreement for one in (differs, missing, wrong)] == [
        Agreement.AUDIO_DIFFERS,
        Agreement.MISSING,
        Agreement.INVALID,
    ]
    assert not differs.watermark.is_marked


async def test_copied_audio_stays_bit_for_bit(keys) -> None:
    """The fake splice keeps the first half of the source and puts the model's speech after it."""
    hallmark, _ = keys
    source = speech_like(2.0)
    order = EditOrder(
        audio=Recording(
            content=source.tobytes(), format=AudioFormat(encoding=PCM.encoding, sample_rate=16_000)
        ),
        instruction="insert 'there' after 'hello'",
        transcript="hello world",
        sampling=Sampling(seed=1),
        output=PCM,
    )
    content, report = await run(editor(hallmark).edit(order))
    plain, _ = await run(editor(None).edit(order))
    result, unmarked = (np.frombuffer(one, "<f4") for one in (content, plain))
    ((start, end),) = report.provenance.generated
    begin, stop = round(start * 16_000), round(end * 16_000)
    np.testing.assert_array_equal(result[:begin], source[:begin])
    np.testing.assert_array_equal(result[stop:], unmarked[stop:])
    assert (result[begin:stop] != unmarked[begin:stop]).any()
    assert report.provenance.watermarked


@pytest.mark.parametrize("instruction", ["remove the background noise", "insert 'there' after 'hello'"])
async def test_speech_that_leaves_at_once_is_marked_where_it_lies(keys, instruction: str) -> None:
    hallmark, verifier = keys
    order = EditOrder(
        audio=Recording(content=encode_audio(np.concatenate([speech_like(2.0), silence(0.5)]), WAV)),
        instruction=instruction,
        regenerate_untouched=True,
        sampling=Sampling(seed=1),
        output=WAV,
    )
    content, report = await run(editor(hallmark).edit(order))
    assert len(decode_audio(content)) / 16_000 == report.result_seconds
    finding = await verifier.verify(Recording(content=content), report.provenance.manifest)
    assert finding.watermark.is_marked
    assert finding.manifest.agreement is Agreement.VALID


async def test_exact_edits_are_certified_and_not_marked(keys) -> None:
    hallmark, verifier = keys
    order = EditOrder(
        audio=Recording(content=encode_audio(speech_like(1.0), WAV)),
        instruction="make it 6 dB louder",
        output=WAV,
    )
    content, report = await run(editor(hallmark).edit(order))
    assert content == (await run(editor(None).edit(order)))[0]
    assert not report.provenance.watermarked
    finding = await verifier.verify(Recording(content=content), report.provenance.manifest)
    assert finding.manifest.agreement is Agreement.VALID
    assert finding.manifest.manifest is not None
    assert finding.manifest.manifest.generated == ()
    assert finding.manifest.manifest.kind == "volume"
