"""The gate opens for true word times, and stops the build, with a report, for times that are off."""

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.training.data.speakers import VOICE, ListGrammar, ToneSpeaker
from training.data import boundaries as gate
from training.data.alignment_gate import check_alignment
from training.data.utterance import Span


def utterances(speaker, count, shift_ms=0):
    rng, shift = np.random.default_rng(0), 16 * shift_ms
    for _ in range(count):
        spoken = speaker.speak(ListGrammar().sentence(rng), VOICE)
        words = tuple(Span(word.label, word.start + shift, word.end + shift) for word in spoken.words)
        yield replace(spoken, words=words)


def test_true_times_pass_and_the_report_says_so(tmp_path):
    speaker = ToneSpeaker()
    quality = check_alignment(
        utterances(speaker, 20), gate.by_synthesis(speaker), tmp_path / "gate.html", needed=30
    )
    assert quality.passed
    assert len(quality.boundaries) >= 30
    page = (tmp_path / "gate.html").read_text()
    assert "Passed" in page
    assert "<img" in page
    assert "100.0 % within 20 ms" in page


def test_times_that_are_off_by_60_ms_stop_the_build_with_a_report(tmp_path):
    speaker = ToneSpeaker()
    with pytest.raises(
        gate.AlignmentGateError, match=r"0\.0 % within 20 ms \(limit 95 %\).*gate\.html"
    ) as raised:
        check_alignment(
            utterances(speaker, 20, shift_ms=60),
            gate.by_synthesis(speaker),
            tmp_path / "gate.html",
            needed=30,
        )
    assert raised.value.reason == "ALIGNMENT_GATE"
    assert "Failed" in (tmp_path / "gate.html").read_text()


def test_too_few_boundaries_do_not_pass(tmp_path):
    speaker = ToneSpeaker()
    with pytest.raises(gate.AlignmentGateError, match="at least 500 are needed"):
        check_alignment(utterances(speaker, 2), gate.by_synthesis(speaker), tmp_path / "gate.html")


def test_the_shares_decide_exactly():
    spoken = ToneSpeaker().speak("amber birch", VOICE)

    def quality(near, middle, far):
        errors = [0.020] * near + [0.050] * middle + [0.0501] * far
        return gate.AlignmentQuality(
            tuple(gate.Boundary(utterance=spoken, word=1, claimed=0.0, found=error) for error in errors)
        )

    assert quality(476, 19, 5).passed
    assert not quality(475, 20, 5).passed
    assert not quality(480, 14, 6).passed
    assert not quality(476, 18, 5).passed


def test_fused_words_have_no_boundary_of_their_own():
    speaker = ToneSpeaker(fused=[("birch", "cedar")])
    spoken = speaker.speak("amber birch cedar delta", VOICE)
    assert gate.inner_boundaries(spoken) == [1, 3]
    assert [boundary.word for boundary in gate.measure(spoken, gate.by_synthesis(speaker))] == [1, 3]


def test_the_template_is_somebody_else_where_there_is_somebody_else():
    assert gate.template_voice(VOICE).variant != VOICE.variant
    assert gate.template_voice(replace(VOICE, variant="f1")).variant != "f1"
    flite = replace(VOICE, engine="flite", variant="slt")
    assert gate.template_voice(flite).variant == "slt"
    assert gate.template_voice(flite).rate != flite.rate
