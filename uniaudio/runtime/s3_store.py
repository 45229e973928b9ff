"""An object store on S3 (MinIO and whatever speaks as it does), through the MinIO client."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError

from uniaudio.errors import InvalidInputError, LimitExceededError, StoreError, UnavailableError
from uniaudio.runtime.object_store import (
    MAX_SMALL_BYTES,
    ObjectInfo,
    StoredObject,
    check_key,
    disk_error,
)
from uniaudio.runtime.s3_errors import explain
from uniaudio.runtime.settings import read_settings, setting

_PART_BYTES = 16 * 2**20  # of an upload in parts: what one lost connection costs
_MAX_PARTS = 10_000  # S3's limit
_CHUNK_BYTES = 2**20
_CHANGED = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})
_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*?))?/?")


@dataclass(frozen=True, kw_only=True, repr=False)  # its representation would show the secret
class S3Settings:
    """How an S3 store is reached. A call is tried `retries` more times, over half a minute by default."""

    endpoint: str = setting(
        "UNIAUDIO_S3_ENDPOINT", meaning="Host and port of the S3 store, without a scheme."
    )
    access_key: str = setting("UNIAUDIO_S3_ACCESS_KEY", meaning="Access key of the S3 store.")
    secret_key: str = setting("UNIAUDIO_S3_SECRET_KEY", meaning="Secret key of the S3 store.")
    region: str = setting("UNIAUDIO_S3_REGION", "us-east-1", "Region of the bucket.")
    tls: bool = setting("UNIAUDIO_S3_TLS", True, "Whether the store is reached over TLS.")
    ca_file: Path | None = setting(
        "UNIAUDIO_S3_CA_FILE", None, "Certificates that a store with a private authority is checked against."
    )
    retries: int = setting(
        "UNIAUDIO_S3_RETRIES",
        7,
        "How often a call is tried again after a lost connection or an answer of 5xx.",
        minimum=0,
        maximum=30,
    )
    timeout_seconds: float = setting(
        "UNIAUDIO_S3_TIMEOUT_SECONDS", 60.0, "How long one answer may take.", minimum=1, maximum=3600
    )


def open_s3_store(url: str) -> S3Store:
    """The store at `s3://bucket/prefix`, reached as the environment says; nothing is asked of it yet."""
    match = _URL.fullmatch(url)
    if match is None:
        raise InvalidInputError(
            f"{url!r} names no store; give s3://bucket/prefix",
            value=url,
            limit="s3://bucket/prefix",
            remedy="give such an address",
        )
    prefix = check_key(match[2]) + "/" if match[2] else ""
    return S3Store(read_settings(S3Settings), match[1], prefix)


class S3Store:
    """Objects below one prefix of a bucket."""

    def __init__(self, settings: S3Settings, bucket: str, prefix: str) -> None:
        self._settings = settings
        self._bucket = bucket
        self._prefix = prefix
        self._client = _make_client(settings)

    @property
    def url(self) -> str:
        """Scheme, bucket and prefix."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def create(self, key: str, data: bytes) -> str | None:
        """See ObjectStore."""
        return self._put_if(key, data, {"If-None-Match": "*"})

    def replace(self, key: str, data: bytes, tag: str) -> str | None:
        """See ObjectStore."""
        return self._put_if(key, data, {"If-Match": f'"{tag}"'})

    def read(self, key: str) -> StoredObject | None:
        """See ObjectStore."""
        with self._named("read", key):
            try:
                return self._read(key)
            except S3Error as error:
                if error.code == "NoSuchKey":
                    return None
                raise

    def upload(self, key: str, path: Path) -> None:
        """See ObjectStore."""
        try:
            size_bytes = path.stat().st_size
            with self._named("write", key), path.open("rb") as file:
                self._client.put_object(
                    self._bucket,
                    self._full(key),
                    file,
                    size_bytes,
                    part_size=max(_PART_BYTES, -(-size_bytes // _MAX_PARTS)),
                    num_parallel_uploads=1,  # ranks upload side by side already
                )
        except OSError as error:
            raise disk_error(error, path) from error

    def download(self, key: str, path: Path, *, resume: bool = False) -> None:
        """See ObjectStore. A broken transfer goes on where it stopped."""
        try:
            with self._named("read", key), path.open("ab" if resume else "xb") as file:
                self._repeat(lambda: self._transfer(key, file))
        except OSError as error:
            raise disk_error(error, path) from error

    def list_folder(self, folder: str) -> list[ObjectInfo]:
        """See ObjectStore."""
        with self._named("list", folder):
            found = self._client.list_objects(self._bucket, self._full(folder) + "/", recursive=True)
            return [
                ObjectInfo(
                    key=item.object_name.removeprefix(self._prefix),
                    size_bytes=item.size,
                    modified_at=item.last_modified.timestamp(),
                )
                for item in found
            ]

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        with self._named("delete", key):
            self._client.remove_object(self._bucket, self._full(key))

    def delete_folder(self, folder: str) -> None:
        """See ObjectStore. Parts of interrupted uploads go by the bucket's own rule (MinIO: after a day)."""
        doomed = [DeleteObject(self._full(info.key)) for info in self.list_folder(folder)]
        with self._named("delete", folder):
            failures = list(self._client.remove_objects(self._bucket, doomed))
        if failures:
            first = failures[0]
            raise StoreError(
                f"{len(failures)} objects below {self.url}/{folder} stayed ({first.code}: {first.message}); "
                "give the access key the right to delete",
                value=f"{len(failures)} objects",
                limit="what the access key may delete",
                remedy="give it the right to delete",
            )

    def _full(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _put_if(
        self, key: str, data: bytes, condition: dict[str, str | list[str] | tuple[str]]
    ) -> str | None:
        """The one use of a private method: the client's public calls take no conditions."""
        with self._named("write", key):
            try:
                result = self._client._put_object(self._bucket, self._full(key), data, headers=condition)
            except S3Error as error:
                if error.code in _CHANGED:
                    return None
                raise
        return result.etag

    def _read(self, key: str) -> StoredObject:
        response = self._client.get_object(self._bucket, self._full(key))
        try:
            data = response.read(MAX_SMALL_BYTES + 1)
            tag = response.headers["ETag"].strip('"')
        finally:
            response.close()
            response.release_conn()
        if len(data) > MAX_SMALL_BYTES:
            raise LimitExceededError(
                f"{self.url}/{key} has more than {MAX_SMALL_BYTES} bytes; it is not one of ours",
                value=key,
                limit=f"{MAX_SMALL_BYTES} bytes",
                remedy="take it out of the store",
            )
        return StoredObject(data=data, tag=tag)

    def _transfer(self, key: str, file: io.BufferedWriter) -> None:
        done = file.tell()
        if done and done == self._client.stat_object(self._bucket, self._full(key)).size:
            return
        response = self._client.get_object(self._bucket, self._full(key), offset=done)
        try:
            for chunk in response.stream(_CHUNK_BYTES):
                file.write(chunk)
        finally:
            response.close()
            response.release_conn()

    def _repeat(self, transfer: Callable[[], None]) -> None:
        """What the client's own retries do not cover: a connection lost within a body."""
        for left in reversed(range(self._settings.retries + 1)):
            try:
                return transfer()
            except HTTPError:
                if left == 0:
                    raise
                time.sleep(0.5)
        return None

    @contextmanager
    def _named(self, deed: str, key: str) -> Iterator[None]:
        """Turns the client's errors into ours."""
        where = f"{self.url}/{key} at {self._settings.endpoint}"
        try:
            yield
        except S3Error as error:
            raise explain(error, deed, where) from error
        except (HTTPError, MinioException) as error:
            raise UnavailableError(
                f"cannot {deed} {where}: no useful answer in {self._settings.retries + 1} tries ({error}); see "
                "that the store runs and that UNIAUDIO_S3_ENDPOINT and UNIAUDIO_S3_TLS fit, then try again",
                reason="STORE_AWAY",
                value=f"{self._settings.retries + 1} tries",
                limit="a useful answer",
                remedy="see that the store runs and that its address fits, then try again",
            ) from error


def _make_client(settings: S3Settings) -> Minio:
    retries = urllib3.Retry(
        total=settings.retries,
        backoff_factor=0.5,
        backoff_max=10,
        status_forcelist=(500, 502, 503, 504),  # not 507: a full disk stays full
        allowed_methods=None,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    timeout = urllib3.Timeout(connect=min(10.0, settings.timeout_seconds), read=settings.timeout_seconds)
    return Minio(
        settings.endpoint,
        access_key=settings.access_key,
        secret_key=settings.secret_key,
        region=settings.region,
        secure=settings.tls,
        http_client=urllib3.PoolManager(
            timeout=timeout,
            retries=retries,
            maxsize=4,
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(settings.ca_file or certifi.where()),
        ),
    )
