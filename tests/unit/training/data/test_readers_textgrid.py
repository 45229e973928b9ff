"""AliMeeting and AISHELL-4: a tier a speaker, TextGrids in both of their forms."""

import pytest

from tests.recordings import write_recording, write_text
from training.data.readers import read_corpus
from training.data.readers.textgrid import read_textgrid
from uniaudio.errors import InvalidInputError


def long_form(tiers, end=4.0):
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0 ",
        f"xmax = {end} ",
        "tiers? <exists> ",
    ]
    lines += [f"size = {len(tiers)} ", "item []: "]
    for number, (name, intervals) in enumerate(tiers.items(), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ', f'        name = "{name}" ']
        lines += [
            "        xmin = 0 ",
            f"        xmax = {end} ",
            f"        intervals: size = {len(intervals)} ",
        ]
        for index, (start, stop, text) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{index}]:",
                f"            xmin = {start} ",
                f"            xmax = {stop} ",
            ]
            lines += [f'            text = "{text}" ']
    return "\n".join(lines)


def short_form(tiers, end=4.0):
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "0",
        str(end),
        "<exists>",
        str(len(tiers)),
    ]
    for name, intervals in tiers.items():
        lines += ['"IntervalTier"', f'"{name}"', "0", str(end), str(len(intervals))]
        lines += [
            str(item) if not isinstance(item, str) else f'"{item}"' for span in intervals for item in span
        ]
    return "\n".join(lines)


TIERS = {
    "N_SPK8001": [(0.0, 1.5, "大家好<sil>，"), (1.5, 2.0, ""), (2.0, 3.5, '说 ""1 2"" x = 3')],
    "F_SPK8002": [(1.0, 2.0, "嗯")],
}


@pytest.mark.parametrize("form", [long_form, short_form])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_textgrid_is_read_in_every_form(tmp_path, form, encoding):
    path = write_text(tmp_path / "x.TextGrid", form(TIERS), encoding)
    first, second = read_textgrid(path)
    assert first.name == "N_SPK8001"
    assert first.intervals == ((0.0, 1.5, "大家好<sil>，"), (1.5, 2.0, ""), (2.0, 3.5, '说 "1 2" x = 3'))
    assert second.intervals == ((1.0, 2.0, "嗯"),)


def test_tiers_of_points_are_passed_over(tmp_path):
    content = (
        short_form({"a": []})
        .replace('"IntervalTier"', '"TextTier"')
        .replace("\n0\n4.0\n0", '\n0\n4.0\n1\n0.5 "x"')
    )
    assert read_textgrid(write_text(tmp_path / "x.TextGrid", content)) == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "it ends early"),
        ("hello 3", "stands where a text"),
        (long_form(TIERS)[:500], "it ends early"),
        (short_form(TIERS).replace("\n1.5\n", '\n"x"\n', 1), "where a number should"),
        ('"a" "b"', "does not begin as one"),
    ],
)
def test_a_broken_textgrid_is_named(tmp_path, content, told):
    with pytest.raises(InvalidInputError, match=rf"x.TextGrid is no whole TextGrid .*{told}"):
        read_textgrid(write_text(tmp_path / "x.TextGrid", content))


def test_alimeeting_prefers_headsets(tmp_path):
    for side, name, channels in (("near", "R1_M1_N_SPK8001", 1), ("far", "R1_M1_MS001", 8)):
        inside = tmp_path / "Eval_Ali" / f"Eval_Ali_{side}"
        write_recording(inside / "audio_dir" / f"{name}.wav", 4.0, channels=channels)
        grid = name if side == "near" else "R1_M1"
        write_text(inside / "textgrid_dir" / f"{grid}.TextGrid", long_form({"N": TIERS["N_SPK8001"]}))
    rows, _ = read_corpus("alimeeting", tmp_path)
    found = [(row.audio.name, row.text, row.speaker, row.seconds, row.split) for row in rows]
    assert found == [
        ("R1_M1_N_SPK8001.wav", "大家好，", "SPK8001", 1.5, "eval"),
        ("R1_M1_N_SPK8001.wav", '说 "1 2" x = 3', "SPK8001", 1.5, "eval"),
    ]


def test_alimeeting_far_field_takes_one_channel(tmp_path):
    write_recording(tmp_path / "Train_Ali_far" / "audio_dir" / "R1_M1_MS001.wav", 4.0, channels=8)
    grids = tmp_path / "Train_Ali_far" / "textgrid_dir"
    write_text(grids / "R1_M1.TextGrid", long_form(TIERS))
    write_text(grids / "R2_M2.TextGrid", long_form(TIERS))
    rows, collector = read_corpus("alimeeting", tmp_path)
    rows = list(rows)
    assert [(row.speaker, row.channel, row.split) for row in rows] == [
        ("SPK8001", 0, "train"), ("SPK8001", 0, "train"), ("SPK8002", 0, "train")
    ]  # fmt: skip
    assert len({row.id for row in rows}) == 3
    assert collector.skipped == {"the recording is missing": 1}


def test_aishell4_leaves_out_meetings_with_broken_transcripts(tmp_path):
    part = tmp_path / "train_S"
    for name in ("M_R1", "M_R2", "M_R3"):
        write_recording(part / "wav" / f"{name}.flac", 4.0, channels=8)
    write_text(part / "TextGrid" / "M_R1.TextGrid", long_form({"SPK001": TIERS["F_SPK8002"]}))
    write_text(part / "TextGrid" / "M_R2.TextGrid", "broken")
    rows, collector = read_corpus("aishell4", tmp_path)
    assert [(row.speaker, row.text, row.split, row.start_sample) for row in rows] == [
        ("M_R1/SPK001", "嗯", "train_S", 16000)
    ]
    assert collector.skipped == {"its TextGrid is malformed": 1, "it has no TextGrid": 1}


@pytest.mark.parametrize("name", ["alimeeting", "aishell4"])
def test_another_folder_is_refused(tmp_path, name):
    with pytest.raises(InvalidInputError, match="has no"):
        list(read_corpus(name, tmp_path)[0])
