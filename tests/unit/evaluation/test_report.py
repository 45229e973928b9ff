"""A report is one file: what is put in is shown, escaped, and nothing is fetched from elsewhere."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from uniaudio.errors import InvalidAudioError, InvalidInputError
from uniaudio.evaluation import plots
from uniaudio.evaluation.report import Marked, Report


def tone(num_samples=1600):
    return 0.5 * np.sin(np.arange(num_samples) * 0.2).astype(np.float32)


def test_everything_that_was_put_in_is_shown_in_order():
    page = (
        Report("Routing", "What was asked.")
        .section("Numbers", "How stable it is.")
        .verdict(False, "7 % is above 5 %")
        .table(["layer", "variance"], [["0", 0.123456], ["1", None]], caption="Per layer")
        .section("Sounds", folded=True)
        .audio(tone(), 16000, "a tone")
        .render()
    )
    shown = ["Routing", "What was asked.", "Numbers", "Failed", "7 % is above 5 %", "Per layer", "0.1235", "–",
             "<details><summary>Sounds", "a tone", "<audio"]  # fmt: skip
    positions = [page.index(piece) for piece in shown]
    assert positions == sorted(positions)


def test_nothing_is_fetched_from_elsewhere():
    page = Report("R").figure(plots.spectrogram(tone(), 16000)).audio(tone(), 16000).render()
    assert all(url.startswith("data:") for url in re.findall(r'src="([^"]*)"', page))
    assert "http" not in page
    assert "@import" not in page


def test_texts_are_escaped():
    page = Report("<b>").section("<script>alert(1)</script>").table(["<i>"], [["<cot_text>"]]).render()
    assert "<script>" not in page
    assert "&lt;cot_text&gt;" in page


def test_flac_audio_keeps_every_bit_of_pcm16():
    pcm = (np.arange(-800, 800, dtype=np.int16) * 20).astype(np.float32) / 32768
    page = Report("R").audio(pcm, 16000).render()
    content = base64.b64decode(re.search(r'src="data:audio/flac;base64,([^"]*)"', page)[1])
    read, sample_rate = soundfile.read(io.BytesIO(content), dtype="float32")
    assert sample_rate == 16000
    np.testing.assert_array_equal(read, pcm)


def test_mp3_audio_is_much_smaller():
    noise = np.random.default_rng(0).normal(0, 0.1, 32000).astype(np.float32)
    sizes = {e: len(Report("R").audio(noise, 16000, encoding=e).render()) for e in ("flac", "mp3")}
    assert sizes["mp3"] < sizes["flac"] / 3


def test_a_row_of_another_length_is_refused():
    with pytest.raises(InvalidInputError, match="row 1 has 1 cells and the table 2 columns"):
        Report("R").table(["a", "b"], [[1, 2], [3]])


def test_a_waveform_without_samples_is_refused():
    with pytest.raises(InvalidAudioError, match="'left'"):
        Report("R").audio(np.zeros(0, np.float32), 16000, "left")


def test_the_file_is_written_with_its_folder(tmp_path):
    path = Report("R").section("é").write(tmp_path / "deep" / "report.html")
    assert "é" in path.read_text(encoding="utf-8")


def test_drawings_are_png_and_sound_is_webp():
    assert plots.lines({"loss": ([0, 1], [2.0, 1.0])}, x="step", y="loss", limit=0.1).startswith(b"\x89PNG")
    for sample_rate in (16000, 24000):
        picture = plots.spectrogram(tone(), sample_rate, [(0.0, 0.05)], seconds=0.2)
        assert picture[:4] + picture[8:12] == b"RIFFWEBP"


def test_a_picture_is_shown_above_its_player():
    page = Report("R").audio(tone(), 16000, "a tone", picture=plots.spectrogram(tone(), 16000)).render()
    assert re.search(r"a tone</figcaption><img [^>]*data:image/webp[^>]*><audio", page)


def test_what_stands_out_is_marked():
    row = ["speed", [Marked("missed", "bad"), Marked("(late)", "note")]]
    page = Report("R").table(["what", "met"], [row], Marked("clean", "badge"), numbers=[1]).render()
    assert '<span class="bad">missed</span> <span class="note">(late)</span>' in page
    assert '<caption><span class="badge">clean</span></caption>' in page
    assert '<th scope="row" class="short">speed</th><td class="number">' in page
    facts = (
        Report("R").card("item").facts([("heard", ["the", Marked("hat", "wrong")]), ("rate", 0.5)]).render()
    )
    assert "<h3>item</h3>" in facts
    assert "<dt>heard</dt><dd>the <mark>hat</mark></dd><dt>rate</dt><dd>0.5</dd>" in facts
