"""`python -m training.data.readers` writes a manifest and says what it holds and what it left out."""

import pytest
import typer
from typer.testing import CliRunner

from tests.recordings import write_recording, write_text
from training.data.manifest import Manifest
from training.data.readers import CORPORA, read_corpus
from training.data.readers.__main__ import main
from uniaudio.errors import InvalidInputError


@pytest.fixture
def command():
    app = typer.Typer()
    app.command()(main)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def test_the_corpora_are_those_of_the_published_model():
    assert len(CORPORA) == 18
    assert sum(corpus.hours for corpus in CORPORA.values()) == 247250


def test_a_manifest_is_written_and_described(tmp_path, command):
    chapter = tmp_path / "dev-clean" / "84" / "121"
    write_recording(chapter / "84-121-0000.flac", 36.0)
    write_text(chapter / "84-121.trans.txt", "84-121-0000 GO\n84-121-0001 [LOST]\n")
    result = command("librispeech", tmp_path, "--out", tmp_path / "m.jsonl")
    assert result.exit_code == 0
    assert [row.text for row in Manifest(tmp_path / "m.jsonl")] == ["GO"]
    for shown in (
        "dev-clean",
        "English",
        "0.01",
        "1 speakers",
        "1 left out: the recording is missing",
        "84-121-0001.flac",
    ):
        assert shown in result.stderr


def test_errors_are_said_plainly(tmp_path, command):
    result = command("librispeech", tmp_path, "--out", tmp_path / "m.jsonl")
    assert result.exit_code == 1
    assert "give the folder that the corpus was unpacked to" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_corpus_without_utterances_is_an_error(tmp_path, command):
    write_text(tmp_path / "dev-clean" / "84" / "121" / "84-121.trans.txt", "84-121-0000 GO\n")
    result = command("librispeech", tmp_path, "--out", tmp_path / "m.jsonl")
    assert result.exit_code == 1
    assert "not one utterance was found" in result.stderr


def test_unknown_names_and_folders_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match=r"no corpus 'timit'; there are aishell1, .*wenetspeech"):
        read_corpus("timit", tmp_path)
    with pytest.raises(InvalidInputError, match="is no folder"):
        read_corpus("mls", tmp_path / "x")
