"""TED-LIUM: STM transcripts over NIST SPHERE recordings, in the layouts of all releases."""

import pytest

from tests.recordings import write_recording, write_text
from training.data.readers import read_corpus
from uniaudio.errors import InvalidInputError

LINES = [
    ';; LABEL "o" "Overall" "Overall results"',
    "AlGore_2009 1 AlGore_2009 0.50 1.75 <o,f0,male> it 's the(2) {NOISE} north <sil> pole (AlGore_2009-0.50-F0_M)",
    "AlGore_2009 1 inter_segment_gap 1.75 2.0 <o,,unknown> ignore_time_segment_in_scoring",
    "AlGore_2009 1 AlGore_2009 2.00 3.00 <NA> we <unk> saw",
    "AlGore_2009 1 AlGore_2009 3.00 3.50 <NA>",
]


def tedlium(folder, lines=LINES):
    write_recording(folder / "dev" / "sph" / "AlGore_2009.sph", 4.0, format="NIST")
    write_text(folder / "dev" / "stm" / "AlGore_2009.stm", "\n".join(lines))


@pytest.mark.parametrize("inside", ["", "legacy"])
def test_tedlium(tmp_path, inside):
    tedlium(tmp_path / inside)
    rows, collector = read_corpus("tedlium", tmp_path)
    assert [(row.id, row.text, row.start_sample, row.num_samples, row.split) for row in rows] == [
        ("AlGore_2009-0001", "it's the north pole", 8000, 20000, "dev"),
        ("AlGore_2009-0003", "we saw", 32000, 16000, "dev"),
    ]
    assert collector.skipped == {"it is marked as not transcribed": 1, "it has no text": 1}


@pytest.mark.parametrize("line", ["AlGore_2009 1", "AlGore_2009 1 AlGore_2009 zero 1.0 <NA> text"])
def test_a_broken_line_is_named(tmp_path, line):
    tedlium(tmp_path, [LINES[1], line])
    with pytest.raises(InvalidInputError, match=r"AlGore_2009.stm:2: .*'talk channel speaker start_s end_s"):
        list(read_corpus("tedlium", tmp_path)[0])


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"has no \*/stm/\*.stm"):
        list(read_corpus("tedlium", tmp_path)[0])
