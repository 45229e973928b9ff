"""A voice is kept with its consent, prepared once, and gone with its audio when consent is."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.orchestrator.domain import Model
from services.orchestrator.voices import store as store_module
from services.orchestrator.voices.model import VoiceState
from tests.fakes_speech import FakeLanguageModel, reading
from tests.voices_house import VoicesHouse, new_voice
from uniaudio.audio.files import decode_audio
from uniaudio.audio.formats import AudioEncoding, recognise
from uniaudio.errors import (
    InvalidAudioError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    StoreError,
    UnavailableError,
)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[VoicesHouse]:
    house = VoicesHouse(tmp_path)
    yield house
    house.close()


async def test_a_voice_is_kept_and_found_by_its_caller_alone(house: VoicesHouse) -> None:
    created = await house.registry.create("ada", new_voice(expires_at=2_000_000.0))
    assert created.transcript == "hello world"
    assert created.state(house.clock()) is VoiceState.ACTIVE
    assert await house.registry.get("ada", "ada") == created
    with pytest.raises(NotFoundError):
        await house.registry.get("bob", "ada")
    with pytest.raises(NotFoundError):
        await house.registry.prepared("bob", "ada")


async def test_what_the_model_hears_is_text_that_any_database_keeps(tmp_path: Path) -> None:
    house = VoicesHouse(tmp_path, model=FakeLanguageModel(reading("English\ta\0b")))
    created = await house.registry.create("ada", new_voice())
    assert created.transcript == "ab"
    house.close()


async def test_it_is_prepared_once(house: VoicesHouse) -> None:
    await house.registry.create("ada", new_voice(transcript="said so"))
    num_encoded = len(house.tokenizer.encoded)
    first = await house.registry.prepared("ada", "ada")
    again = await house.another_replica().prepared("ada", "ada")
    assert len(house.tokenizer.encoded) == num_encoded == 1
    assert first.text == "said so"
    np.testing.assert_array_equal(first.latents, again.latents)


async def test_it_is_exported_as_it_is_kept(house: VoicesHouse) -> None:
    created = await house.registry.create("ada", new_voice(transcript="said so"))
    exported = await house.another_replica().export("ada", "ada")
    assert len(house.tokenizer.encoded) == 1
    assert (exported.voice, exported.tokenizer) == (created, await house.tokenizer.model())
    assert exported.audio.content == house.objects.objects[f"{created.folder}/audio"]
    np.testing.assert_array_equal(exported.latents, (await house.registry.prepared("ada", "ada")).latents)
    with pytest.raises(NotFoundError):
        await house.registry.export("bob", "ada")
    await house.registry.revoke("ada", "ada")
    with pytest.raises(PermissionDeniedError, match="taken back"):
        await house.registry.export("ada", "ada")


async def test_of_the_recording_only_what_the_model_hears_is_kept(house: VoicesHouse) -> None:
    created = await house.registry.create("ada", new_voice())
    kept = house.objects.objects[f"{created.folder}/audio"]
    assert recognise(kept) is AudioEncoding.FLAC
    assert len(decode_audio(kept)) == 16_000
    assert created.audio_sha256 == hashlib.sha256(new_voice().audio.content).hexdigest()


async def test_another_tokenizer_prepares_it_anew(
    house: VoicesHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.registry.create("ada", new_voice(transcript="said so"))

    async def other() -> Model:
        return Model(name="fake", revision="1" * 12)

    monkeypatch.setattr(house.tokenizer, "model", other)
    await house.registry.prepared("ada", "ada")
    assert len(house.tokenizer.encoded) == 2
    await house.another_replica().prepared("ada", "ada")
    assert len(house.tokenizer.encoded) == 2


async def test_the_same_again_is_the_voice_that_is_there(house: VoicesHouse) -> None:
    first = await house.registry.create("ada", new_voice())
    house.clock.now += 10
    assert await house.registry.create("ada", new_voice()) == first
    assert len(house.objects.objects) == 2
    for other in (new_voice(seconds=2.0), new_voice(purpose="something else")):
        with pytest.raises(PreconditionError, match="exists") as caught:
            await house.registry.create("ada", other)
        assert caught.value.reason == "VOICE_EXISTS"
    assert len(house.objects.objects) == 2


async def test_consent_that_is_taken_back_takes_the_audio_with_it(house: VoicesHouse) -> None:
    await house.registry.create("ada", new_voice())
    await house.registry.prepared("ada", "ada")
    revoked = await house.registry.revoke("ada", "ada")
    assert revoked.revoked_at == house.clock.now
    assert house.objects.objects == {}
    for _ in range(2):
        with pytest.raises(PermissionDeniedError, match="taken back") as caught:
            await house.registry.prepared("ada", "ada")
        assert caught.value.reason == "CONSENT_REVOKED"
    house.clock.now += 5
    assert await house.registry.revoke("ada", "ada") == revoked
    with pytest.raises(NotFoundError):
        await house.registry.revoke("ada", "nobody")


async def test_consent_runs_out(house: VoicesHouse) -> None:
    await house.registry.create("ada", new_voice(expires_at=house.clock.now + 60))
    await house.registry.prepared("ada", "ada")
    house.clock.now += 61
    with pytest.raises(PermissionDeniedError, match="ran out") as caught:
        await house.registry.prepared("ada", "ada")
    assert caught.value.reason == "CONSENT_EXPIRED"
    assert (await house.registry.get("ada", "ada")).state(house.clock()) is VoiceState.EXPIRED


async def test_deletion_removes_everything(house: VoicesHouse) -> None:
    await house.registry.create("ada", new_voice())
    await house.registry.delete("ada", "ada")
    assert house.objects.objects == {}
    await house.registry.delete("ada", "ada")
    with pytest.raises(NotFoundError):
        await house.registry.get("ada", "ada")
    await house.registry.create("ada", new_voice(seconds=2.0))


async def test_pages(house: VoicesHouse) -> None:
    for name in ("c", "a", "b"):
        await house.registry.create("ada", new_voice(name))
    await house.registry.create("bob", new_voice("d"))
    page = await house.registry.list("ada", page_size=2)
    assert ([voice.voice_id for voice in page.voices], page.next_token) == (["a", "b"], "b")
    rest = await house.registry.list("ada", page_size=2, token=page.next_token)
    assert ([voice.voice_id for voice in rest.voices], rest.next_token) == (["c"], "")
    for wrong in ({"page_size": -1}, {"page_size": 1_001}, {"token": "No!"}):
        with pytest.raises(InvalidInputError):
            await house.registry.list("ada", **wrong)


async def test_what_cannot_be_kept_leaves_nothing(
    house: VoicesHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong, error in (
        (new_voice("No"), InvalidInputError),
        (new_voice(purpose=""), InvalidInputError),
        (new_voice(seconds=0.2), InvalidAudioError),
        (new_voice(seconds=31.0), LimitExceededError),
        (new_voice(transcript="x" * 2_001), LimitExceededError),
    ):
        with pytest.raises(error):
            await house.registry.create("ada", wrong)
    house.tokenizer.error = UnavailableError("away")
    with pytest.raises(UnavailableError):
        await house.registry.create("ada", new_voice())
    house.tokenizer.error = None
    monkeypatch.setattr(store_module, "MAX_VOICES", 0)
    with pytest.raises(LimitExceededError, match="delete one"):
        await house.registry.create("ada", new_voice())
    assert house.objects.objects == {}


async def test_a_sweep_removes_what_nobody_may_use(house: VoicesHouse) -> None:
    kept = await house.registry.create("ada", new_voice("kept"))
    expired = await house.registry.create("ada", new_voice("expired", expires_at=house.clock.now + 1))
    house.objects.create("voices/left-behind/audio", b"x")
    house.clock.now += 2
    assert await house.registry.sweep() == 0  # all of it may be on its way
    for key in house.objects.objects:
        house.objects._modified[key] = time.time() - 7_200
    assert await house.registry.sweep() == 2
    assert {key.rpartition("/")[0] for key in house.objects.objects} == {kept.folder}
    assert await house.registry.sweep() == 0
    assert await house.registry.get("ada", "expired") == replace(expired)


async def test_a_recording_that_is_missing_is_told(house: VoicesHouse) -> None:
    created = await house.registry.create("ada", new_voice())
    house.objects.delete_folder(created.folder)
    with pytest.raises(StoreError, match="create the voice anew"):
        await house.registry.prepared("ada", "ada")
