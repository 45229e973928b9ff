"""Live sound is cut where the speaker pauses or after twenty seconds; memory stays bounded."""

from __future__ import annotations

import numpy as np
import pytest

from services.orchestrator.utterances import Utterance, UtteranceConfig, UtteranceCutter
from tests.fakes_speech import Floats, silence, speech_like, tone


def cut(waveform: Floats, size: int) -> list[Utterance]:
    """All utterances of a waveform that arrives in pieces of `size` samples."""
    cutter = UtteranceCutter()
    found = [
        utterance
        for start in range(0, len(waveform), size)
        for utterance in cutter.feed(waveform[start : start + size])
    ]
    last = cutter.finish()
    return found + ([last] if last else [])


@pytest.mark.parametrize("size", [123, 1_600, 1_000_000])
def test_utterances_end_at_pauses(size: int) -> None:
    waveform = np.concatenate([silence(2.0), speech_like(1.5, 2.5)])
    first, second = cut(waveform, size)
    assert first.start_seconds == pytest.approx(1.8, abs=0.05)
    assert len(first.waveform) / 16_000 == pytest.approx(0.2 + 1.5 + 0.6, abs=0.1)
    assert second.start_seconds == pytest.approx(2.0 + 1.5 + 0.8 - 0.2, abs=0.05)
    assert np.abs(second.waveform).max() > 0.2


def test_an_endless_speaker_is_cut_within_the_limit() -> None:
    rng = np.random.default_rng(0)
    loudness = np.repeat(rng.uniform(0.02, 1.0, 500), 1_600).astype(np.float32)
    utterances = cut(tone(50.0) * loudness, 1_600)
    assert [len(utterance.waveform) <= 20 * 16_000 for utterance in utterances] == [True] * len(utterances)
    assert sum(len(utterance.waveform) for utterance in utterances) == pytest.approx(50 * 16_000, abs=16_000)


def test_silence_and_clicks_give_nothing_and_keep_nothing() -> None:
    cutter = UtteranceCutter()
    click = np.concatenate([silence(1.0), tone(0.05), silence(1.0)])
    for _ in range(50):
        assert cutter.feed(click) == []
    assert cutter.current() is None
    assert len(cutter._samples) < 2 * 16_000
    assert cutter.finish() is None


def test_steady_noise_becomes_the_floor() -> None:
    noise = (0.02 * np.random.default_rng(0).standard_normal(60 * 16_000)).astype(np.float32)
    noise[40 * 16_000 : 42 * 16_000] += tone(2.0)
    utterances = cut(noise, 1_600)
    assert utterances[-1].start_seconds == pytest.approx(39.8, abs=0.1)
    assert len(utterances[-1].waveform) / 16_000 == pytest.approx(2.8, abs=0.2)


def test_a_model_of_short_stretches_gets_shorter_utterances() -> None:
    config = UtteranceConfig()
    assert config.within(0) == config
    assert config.within(5) == UtteranceConfig(pause_seconds=0.3, max_seconds=5)
    assert config.within(90).max_seconds == config.max_seconds
