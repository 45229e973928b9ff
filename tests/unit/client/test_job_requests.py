"""Jobs from Python values: items, filters, uploads, and the budget of retries."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from services.orchestrator.job_filter import parse_filter
from services.orchestrator.jobs.model import JobQuery, State
from uniaudio.client import UploadedRecording, batch, edit_step, job_filter
from uniaudio.client.downloads import Download
from uniaudio.client.job_requests import EditItem, create_request, list_request, source_key
from uniaudio.client.retries import Retries
from uniaudio.client.uploads import MAX_UPLOAD_BYTES, open_upload
from uniaudio.errors import (
    InvalidInputError,
    LimitExceededError,
    QueueFullError,
    QuotaExceededError,
    StoreError,
    UnavailableError,
)
from uniaudio.v1 import audio_pb2, edits_pb2, jobs_pb2

AWAY = UnavailableError("away", value="away", limit="there", remedy="wait")
RECORDING = UploadedRecording(recording_id="0" * 32)


def test_a_batch_is_every_recording_with_every_edit() -> None:
    items = batch(["a.wav", Path("x/b.wav")], ["faster", edit_step("louder", engine="exact")])
    assert [str(item.audio) for item in items] == ["a.wav", "a.wav", "x/b.wav", "x/b.wav"]
    request = create_request([(item, RECORDING) for item in items], "mine", 1.5)
    assert [spec.label for spec in request.items] == ["a.wav", "a.wav", "b.wav", "b.wav"]
    assert [spec.edits[0].instruction for spec in request.items] == ["faster", "louder"] * 2
    assert request.items[1].edits[0].engine == edits_pb2.EDIT_ENGINE_EXACT
    assert request.items[0].output_format.encoding == audio_pb2.AUDIO_ENCODING_WAV
    assert (request.request_id, request.ttl.ToMilliseconds()) == ("mine", 1500)


def test_a_creation_can_always_be_sent_again() -> None:
    first, second = (create_request([], "", None) for _ in range(2))
    assert first.request_id
    assert first.request_id != second.request_id
    assert not first.HasField("ttl")


def test_recordings_are_told_apart() -> None:
    samples = np.zeros(10, np.float32)
    items = [EditItem(audio=audio, edits=["x"]) for audio in ("a", Path("a"), "b", samples, samples, b"a")]
    keys = [source_key(item) for item in items]
    assert keys[0] == keys[1]
    assert keys[3] == keys[4]
    assert len(set(keys)) == 4


def test_filters_are_what_the_service_reads() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    text = job_filter(states=["failed", "running"], created_from=moment, created_before=moment)
    assert parse_filter(text) == JobQuery(
        states=frozenset({State.FAILED, State.RUNNING}),
        created_from=moment.timestamp(),
        created_before=moment.timestamp(),
    )
    assert job_filter() == ""
    with pytest.raises(InvalidInputError, match="paused"):
        job_filter(states=["paused"])  # type: ignore[list-item]


def test_pages_are_no_longer_than_what_is_wanted() -> None:
    assert [list_request("", "", size).page_size for size in (7, 5000)] == [7, 1000]


def test_a_file_is_sent_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(bytes(600_000))
    first, *pieces = open_upload(path).messages()
    assert first.config.sha256 == hashlib.sha256(bytes(600_000)).hexdigest()
    assert [len(piece.content) for piece in pieces] == [262_144, 262_144, 75_712]
    assert list(open_upload(str(path)).messages()) == [first, *pieces]


def test_samples_are_sent_with_their_layout() -> None:
    first, piece = open_upload(np.zeros(100, np.float32), 8000).messages()
    assert (first.config.format.sample_rate, len(piece.content)) == (8000, 400)
    with pytest.raises(InvalidInputError, match="sample_rate"):
        open_upload(np.zeros(100, np.float32))


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.truncate(MAX_UPLOAD_BYTES + 1)
    with pytest.raises(LimitExceededError):
        open_upload(path)


def test_retries_wait_longer_and_longer_and_end() -> None:
    retries = Retries(first_pause_seconds=1.0)
    assert [retries.pause_after(AWAY) for _ in range(4)] == [1, 2, 4, 5]
    retries.renew()
    assert len([retries.pause_after(AWAY) for _ in range(11)]) == 11
    with pytest.raises(UnavailableError):
        retries.pause_after(AWAY)


def test_retries_wait_as_long_as_they_are_told_and_not_for_what_they_cannot_cure() -> None:
    for asked, pause in ((3, 3), (0.1, 0.2), (900, 5)):
        full = QueueFullError("full", retry_after_seconds=asked, value=1, limit=1, remedy="wait")
        assert Retries().pause_after(full) == pause
    for error in (InvalidInputError, QuotaExceededError):
        with pytest.raises(error):
            Retries().pause_after(error("no", value=1, limit=1, remedy="change"))


def message(content: bytes) -> jobs_pb2.DownloadEditResultResponse:
    return jobs_pb2.DownloadEditResultResponse(audio=audio_pb2.AudioChunk(content=content))


def test_a_download_asks_for_what_is_missing_and_checks_the_whole() -> None:
    result = jobs_pb2.EditResult(size_bytes=6, sha256=hashlib.sha256(b"abcdef").hexdigest())
    download = Download("job", 3)
    assert download.take(jobs_pb2.DownloadEditResultResponse(result=result)) == b""
    assert download.take(message(b"abc")) == b"abc"
    request = download.request()
    assert (request.job_id, request.index, request.offset) == ("job", 3, 3)
    with pytest.raises(StoreError, match="3 bytes"):
        download.check()
    download.take(message(b"def"))
    download.check()
    other = Download("job", 0)
    other.take(jobs_pb2.DownloadEditResultResponse(result=result))
    other.take(message(b"abcdeX"))
    with pytest.raises(StoreError) as caught:
        other.check()
    assert caught.value.reason == "RESULT_DAMAGED"
