"""Checkpoints in a real MinIO server: what it does when it is well, refuses, dies, and is full."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.minio_server import MinioServer
from tests.object_store_contract import ObjectStoreContract
from training.checkpoints.store import new_attempt, open_store
from uniaudio.errors import CheckpointError, LeaseError, StoreError, UnavailableError
from uniaudio.runtime.object_store import ObjectStore, open_object_store

BUCKET = "checkpoints"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[MinioServer]:
    server = MinioServer(tmp_path_factory.mktemp("minio") / "data", free_port())
    server.start()
    server.make_bucket(BUCKET)
    yield server
    server.stop()


@pytest.fixture
def url(server: MinioServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the test's own."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{secrets.token_hex(4)}"


@pytest.fixture
def store(url: str) -> ObjectStore:
    return open_object_store(url)


class TestS3Store(ObjectStoreContract):
    """The whole contract, conditional writes and their races included, kept by the real server."""


def write_files(folder: Path, *sizes_bytes: int, rank: int = 0) -> Path:
    """A folder of files with random content."""
    folder.mkdir()
    for index, size_bytes in enumerate(sizes_bytes):
        (folder / f"shard-{rank}-{index}.bin").write_bytes(os.urandom(size_bytes))
    return folder


def same(one: Path, other: Path) -> bool:
    names = sorted(path.name for path in one.iterdir())
    return names == sorted(path.name for path in other.iterdir()) and all(
        (one / name).read_bytes() == (other / name).read_bytes() for name in names
    )


def test_a_large_checkpoint_of_many_files_goes_there_and_back(url: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "source", 0, 17 * 2**20, 2_500_000, 400_000, 1)
    with open_store(url, holder="run") as store:
        assert store.latest() is None
        handle = store.save(10, source)
        assert not handle.done, "the caller has its handle while the upload is under way"
        info = handle.wait(60)
        assert info is not None
        assert info.size_bytes > 20_000_000
    with open_store(url, holder="reader") as store:
        assert store.restore(tmp_path / "back") == info
    assert same(source, tmp_path / "back")


def test_ranks_save_one_checkpoint_together(url: str, tmp_path: Path) -> None:
    attempt = new_attempt(3)
    folders = [write_files(tmp_path / f"rank-{rank}", 100_000, rank=rank) for rank in range(2)]
    with open_store(url, holder="run") as first, open_store(url, holder="run") as second:
        handle = first.save(3, folders[0], rank=0, num_ranks=2, attempt=attempt)
        second.save(3, folders[1], rank=1, num_ranks=2, attempt=attempt).wait(30)
        info = handle.wait(30)
        assert info is not None
        assert {file.name: file.rank for file in info.files} == {"shard-0-0.bin": 0, "shard-1-0.bin": 1}


def test_old_checkpoints_and_dead_attempts_go(url: str, tmp_path: Path, server: MinioServer) -> None:
    source = write_files(tmp_path / "source", 1000)
    raw = open_object_store(url)
    raw.upload("attempts/000000000001-dead/rank-00000/shard.bin", source / "shard-0-0.bin")
    with open_store(url, holder="run") as store:
        for step in range(1, 5):
            store.save(step, source).wait(30)
        store.prune(keep_last=2)
        assert [info.step for info in store.list()] == [4, 3]
        assert any("-dead" in info.key for info in raw.list_folder("attempts"))
        store.prune(keep_last=2, grace_seconds=-60)
        assert len({info.key.split("/")[1] for info in raw.list_folder("attempts")}) == 2


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("UNIAUDIO_S3_SECRET_KEY", "wrong", "the secret key is wrong; check UNIAUDIO_S3_ACCESS_KEY and"),
        ("UNIAUDIO_S3_ACCESS_KEY", "nobody", "the access key is unknown; check UNIAUDIO_S3_ACCESS_KEY"),
    ],
)
def test_wrong_credentials_are_named_at_once(
    url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StoreError, match=said) as caught:
        open_store(url, holder="run")
    assert caught.value.reason == "STORE_DENIED"


def test_a_missing_bucket_is_named_at_once(url: str) -> None:
    with pytest.raises(StoreError, match="no such bucket; create it") as caught:
        open_store("s3://no-such-bucket/run", holder="run")
    assert caught.value.reason == "STORE_MISSING"


@pytest.mark.parametrize(
    ("variable", "value"), [("UNIAUDIO_S3_ENDPOINT", "127.0.0.1:1"), ("UNIAUDIO_S3_TLS", "true")]
)
def test_a_store_that_does_not_answer_is_away(
    url: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UnavailableError, match="no useful answer in 3 tries") as caught:
        open_store(url, holder="run")
    assert caught.value.reason == "STORE_AWAY"


def test_two_writers_of_one_run_never_both_publish(url: str, tmp_path: Path) -> None:
    source = write_files(tmp_path / "source", 1000)
    with open_store(url, holder="first") as first, open_store(url, holder="second") as second:
        first.save(1, source).wait(30)
        with pytest.raises(LeaseError, match=r"in use: first \(token 1\)"):
            second.claim(wait_seconds=0)
        let_lease_run_out(url)
        second.claim(wait_seconds=0)
        with pytest.raises(LeaseError, match=r"first \(token 1\) lost the lease to second \(token 2\)"):
            first.save(2, source).wait(30)
        second.save(3, source).wait(30)
        assert [info.step for info in first.list()] == [3, 1]


def let_lease_run_out(url: str) -> None:
    """What time does to a lease that nobody renews."""
    raw = open_object_store(url)
    found = raw.read("lease.json")
    assert found is not None
    raw.replace("lease.json", json.dumps({**json.loads(found.data), "expires_at": 0.0}).encode(), found.tag)


def test_damage_in_the_store_is_found(url: str, tmp_path: Path) -> None:
    with open_store(url, holder="run") as store:
        store.save(1, write_files(tmp_path / "1", 5000)).wait(30)
        newest = store.save(2, write_files(tmp_path / "2", 5000)).wait(30)
        assert newest is not None
        open_object_store(url).upload(newest.files[0].key(newest.attempt), tmp_path / "1/shard-0-0.bin")
        with pytest.raises(CheckpointError, match="its SHA-256 differs; use the one before"):
            store.fetch(newest, tmp_path / "back")
        restored = store.restore(tmp_path / "back")
    assert restored is not None
    assert restored.step == 1
    assert same(tmp_path / "1", tmp_path / "back")


def test_a_server_killed_in_an_upload_leaves_the_old_checkpoint_and_takes_the_next(
    url: str, tmp_path: Path, server: MinioServer
) -> None:
    with open_store(url, holder="run") as store:
        old = write_files(tmp_path / "old", 200_000)
        store.save(1, old).wait(30)
        handle = store.save(2, write_files(tmp_path / "new", *[17 * 2**20] * 3))
        _wait_until(lambda: len(open_object_store(url).list_folder("attempts")) > 2)
        server.kill()
        try:
            assert not handle.done
            with pytest.raises(UnavailableError, match="see that the store runs"):
                handle.wait(60)
        finally:
            server.start()
        latest = store.latest()
        assert latest is not None
        assert latest.step == 1
        assert store.save(3, old).wait(60)
        restored = store.restore(tmp_path / "back")
    assert restored is not None
    assert restored.step == 3
    assert same(old, tmp_path / "back")


def test_a_server_that_comes_back_in_time_is_not_even_noticed(
    url: str, tmp_path: Path, server: MinioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIAUDIO_S3_RETRIES", "10")
    source = write_files(tmp_path / "new", *[17 * 2**20] * 2)
    with open_store(url, holder="run") as store:
        handle = store.save(1, source)
        _wait_until(lambda: bool(open_object_store(url).list_folder("attempts")))
        server.kill()
        server.start()
        assert handle.wait(60)
        store.restore(tmp_path / "back")
    assert same(source, tmp_path / "back")


def _wait_until(holds: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for 64 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    if made.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here ({made.stderr.strip()}): run as root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


def test_a_full_store_is_named_and_the_old_checkpoint_stays(
    small_disk: Path, tmp_path: Path, free_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = MinioServer(small_disk / "data", free_port())
    server.start()
    try:
        server.make_bucket(BUCKET)
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        _fill_up(f"s3://{BUCKET}/run", tmp_path)
    finally:
        server.stop()


def test_a_full_local_disk_is_named_and_the_old_checkpoint_stays(small_disk: Path, tmp_path: Path) -> None:
    _fill_up(str(small_disk / "run"), tmp_path)


def _fill_up(url: str, tmp_path: Path) -> None:
    small = write_files(tmp_path / "small-one", 1_000_000)
    large = write_files(tmp_path / "large-one", *[17 * 2**20] * 4)
    with open_store(url, holder="run") as store:
        store.save(1, small).wait(30)
        with pytest.raises(StoreError, match=r"no space is left.*keep fewer checkpoints") as caught:
            store.save(2, large).wait(60)
        assert caught.value.reason == "STORE_FULL"
        latest = store.latest()
        assert latest is not None
        assert latest.step == 1
        assert store.save(3, small).wait(30), "what the failed attempt took is free again"


@contextmanager
def store_that_answers(*answers: tuple[int, str]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives these answers (status, S3's code) in turn, the last one for ever; and its calls."""
    calls: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, code = answers[min(len(calls), len(answers) - 1)]
            calls.append(self.path)
            body = f"<Error><Code>{code}</Code><Message>so it is</Message></Error>".encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}", calls
        server.shutdown()
        thread.join(10)


@pytest.fixture
def read_from(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """Reads an object from the store at an endpoint."""

    def read(endpoint: str) -> object:
        for name, value in {"ENDPOINT": endpoint, "ACCESS_KEY": "a", "SECRET_KEY": "b"}.items():
            monkeypatch.setenv(f"UNIAUDIO_S3_{name}", value)
        monkeypatch.setenv("UNIAUDIO_S3_TLS", "false")
        monkeypatch.setenv("UNIAUDIO_S3_RETRIES", "2")
        return open_object_store("s3://bucket").read("key")

    return read


def test_a_busy_store_is_asked_again(read_from: Callable[[str], object]) -> None:
    with store_that_answers((503, "SlowDown"), (500, "InternalError"), (404, "NoSuchKey")) as (where, calls):
        assert read_from(where) is None
        assert len(calls) == 3


def test_a_store_that_stays_unwell_is_named_after_bounded_tries(read_from: Callable[[str], object]) -> None:
    with store_that_answers((503, "SlowDown")) as (where, calls):
        with pytest.raises(UnavailableError, match=r"the store is not well.*SlowDown, status 503"):
            read_from(where)
        assert len(calls) == 3


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AccessDenied", "STORE_DENIED"),
        (403, "RequestTimeTooSkewed", "STORE_DENIED"),
        (400, "AuthorizationHeaderMalformed", "STORE_DENIED"),
        (507, "XMinioStorageFull", "STORE_FULL"),
        (400, "XMinioAdminBucketQuotaExceeded", "STORE_FULL"),
        (405, "MethodNotAllowed", "STORE_REFUSED"),
    ],
)
def test_what_waiting_cannot_mend_is_asked_once(
    read_from: Callable[[str], object], status: int, code: str, reason: str
) -> None:
    with store_that_answers((status, code)) as (where, calls):
        with pytest.raises(StoreError) as caught:
            read_from(where)
        assert caught.value.reason == reason
        assert len(calls) == 1


def test_settings_do_not_show_the_secret() -> None:
    from uniaudio.runtime.s3_store import S3Settings

    assert "hidden" not in repr(S3Settings(endpoint="e", access_key="a", secret_key="hidden"))
