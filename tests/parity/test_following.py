"""A recording that is followed: the engine tells what the plain model does, and nano finds words where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.synthesisers import needs_synthesisers
from training.data.espeak import EspeakSpeaker
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES
from uniaudio.checkpoint import Checkpoint
from uniaudio.editing.following import FollowedText, by_frame, follow
from uniaudio.engine.engine import Engine
from uniaudio.engine.events import FinishEvent, FinishReason, LettersEvent, StartEvent
from uniaudio.engine.request import EngineConfig, Follow, GenerationRequest
from uniaudio.engine.speech_model import SpeechModel
from uniaudio.llm.prompt import speak_prompt
from uniaudio.stack.shipped_model import shipped_model
from uniaudio.tokenizer import AudioTokenizer

FRAME_SECONDS = 0.02
SENTENCES = (
    "he could paint another children lamp before",
    "there were eleven rich houses in our corner",
    "my teacher never opened the little window",
)


@pytest.fixture(scope="module")
def model() -> SpeechModel:
    return SpeechModel.from_checkpoint(Checkpoint(shipped_model()), dtype=torch.float32)


@pytest.fixture(scope="module")
def engine(model: SpeechModel) -> Iterator[Engine[SpeechModel]]:
    engine = Engine(model, EngineConfig(max_running=8))
    yield engine
    engine.close()


def latents(num_frames: int, seed: int = 0) -> Tensor:
    return 0.5 * torch.randn(num_frames, 64, generator=torch.Generator().manual_seed(seed))


def followed(engine: Engine[SpeechModel], text: str, recording: Tensor, name: str = "a") -> Tensor:
    """The engine's answer `(num_patches, num_characters)`."""
    request = GenerationRequest(request_id=name, task=Follow(text=text), latents=recording)
    start, letters, finish = engine.generate(request)
    assert isinstance(start, StartEvent)
    assert isinstance(letters, LettersEvent)
    assert isinstance(finish, FinishEvent)
    assert (finish.reason, finish.text) == (FinishReason.STOP, "")
    return letters.log_probabilities


@torch.no_grad()
def step_by_step(model: SpeechModel, text: str, recording: Tensor) -> Tensor:
    """What the text head names before each patch, the patches fed one by one."""
    tokenizer, size, state = model.text_tokenizer, model.patch_size, model.new_state()
    letters = [tokenizer.encode(char.lower())[0] for char in text]
    hidden, rows = model.prefill([speak_prompt(tokenizer, text)], [[]], [state]), []
    for patch in recording[: len(recording) // size * size].view(-1, size, recording.shape[1]):
        rows.append(model.logits(hidden)[0].log_softmax(-1)[letters])
        hidden = model.step(model.embed_patches(patch[None], [state]), [state])
    return torch.stack(rows)


def test_the_engine_tells_what_the_model_expects_step_by_step(
    model: SpeechModel, engine: Engine[SpeechModel]
) -> None:
    text, recording = "We met at the Green gate.", latents(43)
    expected = step_by_step(model, text, recording)
    assert expected.shape == (8, len(text))
    torch.testing.assert_close(followed(engine, text, recording), expected, atol=1e-3, rtol=0)


def test_in_company_and_after_lost_blocks_it_tells_the_same(model: SpeechModel) -> None:
    text, recordings = "the old dog sat down", [latents(60, seed) for seed in range(4)]

    def tell(engine: Engine[SpeechModel]) -> list[Tensor]:
        with ThreadPoolExecutor(4) as pool:
            names = [f"r{index}" for index in range(4)]
            return list(
                pool.map(lambda pair: followed(engine, text, *pair), zip(recordings, names, strict=True))
            )

    roomy, narrow = Engine(model, EngineConfig()), Engine(model, EngineConfig(max_kv_positions=112))
    try:
        alone = [followed(roomy, text, recording) for recording in recordings]
        for engine in (roomy, narrow):
            for one, other in zip(alone, tell(engine), strict=True):
                assert torch.equal(one, other)
        assert roomy.stats().num_patches == 0, "nothing was made"
        assert roomy.stats().num_underruns == 0
    finally:
        roomy.close()
        narrow.close()


@needs_synthesisers
def test_nano_finds_words_within_a_frame_or_two_of_where_they_are(engine: Engine[SpeechModel]) -> None:
    tokenizer = AudioTokenizer.from_checkpoint(Checkpoint(shipped_model()), dtype=torch.float32)
    errors, likelihoods = [], []
    with EspeakSpeaker() as speaker:
        for text, voice in zip(
            SENTENCES, (TRAINING_VOICES[0], TRAINING_VOICES[4], HELD_OUT_VOICES[0]), strict=True
        ):
            said = speaker.speak(text, voice)
            waveform = torch.from_numpy(np.ascontiguousarray(said.waveform, np.float32))
            with torch.no_grad():
                recording = tokenizer.encode(waveform[None]).mean[0]
            found = _follow(engine, text, recording)
            likelihoods.append(found.likelihood)
            errors += _errors(found, [word.start / 16_000 for word in said.words], text)
    assert np.median(np.abs(errors)) < 0.02
    assert (
        np.mean(np.abs(errors) < 0.1) >= 0.9
    )  # the synthesiser fuses some words and tells one time for both
    assert min(likelihoods) > -0.5
    assert _follow(engine, "nothing of this was ever said", recording).likelihood < -1.0


def _follow(engine: Engine[SpeechModel], text: str, recording: Tensor) -> FollowedText:
    rows = [followed(engine, text, recording[shift:]).numpy() for shift in range(5)]
    return follow(by_frame(rows, len(recording)), text)


def _errors(found: FollowedText, starts: Sequence[float], text: str) -> list[float]:
    """Seconds by which the beginnings of all words but the first are off."""
    places = [index + 1 for index, char in enumerate(text) if char == " "]
    return [FRAME_SECONDS * found.cut(place) - start for place, start in zip(places, starts[1:], strict=True)]
