"""nano's letter ear on speech by voices that it was never trained on: what was said is likelier than what was not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.synthesisers import needs_synthesisers
from training.data.espeak import EspeakSpeaker
from training.data.voices import HELD_OUT_VOICES, TRAINING_VOICES
from uniaudio.checkpoint import Checkpoint
from uniaudio.editing.spelling import Spelling, likelihoods
from uniaudio.stack.shipped_model import shipped_model
from uniaudio.tokenizer import AudioTokenizer
from uniaudio.tokenizer.ear import load_ear

SAID = "there were eleven rich houses in our corner"
CHANGED = (
    "there were seven rich houses in our corner",
    "there were eleven rich horses in our corner",
    "there were eleven houses in our corner",
    "there were eleven rich rich houses in our corner",
    "there were eleven rich houses in our",
)


@needs_synthesisers
@pytest.mark.parametrize(
    "voice", [TRAINING_VOICES[0], TRAINING_VOICES[7], *HELD_OUT_VOICES[:2]], ids=lambda v: v.name
)
def test_the_words_that_were_said_are_the_likeliest(voice) -> None:
    tokenizer = AudioTokenizer.from_checkpoint(Checkpoint(shipped_model()), dtype=torch.float32)
    ear = load_ear(shipped_model())
    assert ear is not None
    with EspeakSpeaker() as speaker, torch.no_grad():
        said = speaker.speak(SAID, voice)
        waveform = torch.from_numpy(np.ascontiguousarray(said.waveform, np.float32))
        heard = ear.hear(tokenizer.encode(waveform[None]).mean[0]).numpy()
    right, *wrong = likelihoods(heard, [Spelling(text, ear.config.alphabet) for text in (SAID, *CHANGED)])
    assert right > max(wrong)
