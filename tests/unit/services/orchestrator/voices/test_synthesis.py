"""Speech in a registered voice, and what is refused of others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.orchestrator.clients import Speak
from services.orchestrator.domain import SynthesizeOrder, SynthesizeReport
from services.orchestrator.synthesize import Synthesizer
from services.orchestrator.transcribe import Transcriber
from services.orchestrator.voices.policy import UPLOADED_VOICE_NOTICE, PromptPolicy, Voices
from tests.fakes_speech import split_at_bars
from tests.voices_house import VoicesHouse, new_voice
from uniaudio.errors import InvalidInputError, NotFoundError, PermissionDeniedError, PreconditionError


@pytest.fixture
def house(tmp_path: Path) -> Iterator[VoicesHouse]:
    house = VoicesHouse(tmp_path)
    yield house
    house.close()


async def speak(house: VoicesHouse, voices: Voices | None = None, **order: object) -> SynthesizeReport:
    voices = voices or Voices(house.registry, lambda: "ada")
    transcriber = Transcriber(house.tokenizer, house.model)
    synthesizer = Synthesizer(house.tokenizer, house.model, transcriber, split_at_bars, voices=voices)
    items = [item async for item in synthesizer.synthesize(SynthesizeOrder(text="a good text", **order))]
    assert isinstance(items[-1], SynthesizeReport)
    return items[-1]


async def test_a_known_voice_needs_no_tokenizer(house: VoicesHouse) -> None:
    await house.registry.create("ada", new_voice(transcript="said so"))
    encoded, heard = len(house.tokenizer.encoded), len(house.model.tasks)
    report = await speak(house, voice_id="ada")
    assert len(house.tokenizer.encoded) == encoded
    ((task, latents, _),) = house.model.tasks[heard:]
    assert task == Speak(text="a good text", prompt_text="said so", known_voice=True)
    assert latents is not None
    assert len(latents) == 50
    assert UPLOADED_VOICE_NOTICE not in report.warnings


async def test_uploads_come_with_a_notice_or_not_at_all(house: VoicesHouse) -> None:
    prompt = new_voice().audio
    assert UPLOADED_VOICE_NOTICE in (await speak(house, prompt_audio=prompt, prompt_text="so")).warnings
    assert house.model.tasks[-1][0] == Speak(text="a good text", prompt_text="so")
    strict = Voices(house.registry, lambda: "ada", PromptPolicy(uploads_allowed=False))
    with pytest.raises(PermissionDeniedError, match="uniaudio voices add") as caught:
        await speak(house, strict, prompt_audio=prompt)
    assert caught.value.reason == "CONSENT_NEEDED"
    await speak(house, strict)


async def test_what_is_refused(house: VoicesHouse) -> None:
    with pytest.raises(NotFoundError):
        await speak(house, voice_id="nobody")
    for beside in ({"prompt_audio": new_voice().audio}, {"prompt_text": "so"}):
        with pytest.raises(InvalidInputError, match="one or the other"):
            await speak(house, voice_id="ada", **beside)
    with pytest.raises(PreconditionError, match="keeps no voices"):
        await speak(house, Voices(), voice_id="ada")
    await house.registry.create("ada", new_voice())
    await house.registry.revoke("ada", "ada")
    with pytest.raises(PermissionDeniedError, match="taken back"):
        await speak(house, voice_id="ada")
