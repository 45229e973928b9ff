"""A release with the database, broker and object store that it brings along: a place where faults strike."""

from __future__ import annotations

import random
from base64 import b64decode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import psycopg
from kubernetes import client
from minio import Minio

from tests.faults import witness
from tests.faults.again import Again
from tests.faults.fault import Fault, down
from tests.faults.pace import Pace
from tests.pods.forwarding import forwarded, kept_forwarded
from tests.pods.release import Release

BUCKET, _CALLER = "uniaudio", "anonymous"
_PACE = Pace(
    lease_seconds=30,  # the chart's
    sweep_seconds=1,
    patch_seconds=0,
    before_seconds=(1, 8),
    down_seconds=0,
    away_seconds=0,
    times=1,
    patience_seconds=600,
    num_customers=2,
)


class Trial(Again):
    """A `Place` in pods."""

    pace = _PACE

    def __init__(self, made: Release, address: str) -> None:
        super().__init__()
        self._made = made
        self._core = client.CoreV1Api(made.cluster.api)
        self.address = address

    def delete_pod(self, kind: str) -> None:
        """As good as killed: it has a second. Less, and a StatefulSet's next pod would meet it at the volume."""
        (pod,) = self._made.pods(kind)
        self._core.delete_namespaced_pod(pod.metadata.name, self._made.namespace, grace_period_seconds=1)

    @contextmanager
    def database(self) -> Iterator[psycopg.Connection]:
        """A connection of the database's owner."""
        password = self._secret("database-password")
        with (
            self._forwarded("postgresql", 5432) as port,
            psycopg.connect(
                host="127.0.0.1",
                port=port,
                user="uniaudio",
                dbname="uniaudio",
                password=password,
                autocommit=True,
            ) as connection,
        ):
            yield connection

    def endings(self) -> list[tuple[str, int, str]]:
        """See Place."""
        with self.database() as connection:
            return witness.endings(connection)

    def check_accounts(self) -> list[str]:
        """See Place."""
        with self.database() as connection:
            return witness.still_counted(connection, _CALLER)

    def check_artifacts(self) -> list[str]:
        """See Place."""
        with self.store() as (address, access_key, secret_key):
            store = Minio(address, access_key, secret_key, secure=False)
            return witness.misnamed_results(store, BUCKET)

    @contextmanager
    def store(self) -> Iterator[tuple[str, str, str]]:
        """The object store's address, access key and secret key."""
        with self._forwarded("minio", 9000) as port:
            yield f"127.0.0.1:{port}", self._secret("access-key"), self._secret("secret-key")

    def _forwarded(self, part: str, port: int) -> AbstractContextManager[int]:
        return forwarded(self._made.cluster, self._made.namespace, f"pod/{self._made.name}-{part}-0", port)

    def _secret(self, key: str) -> str:
        name = f"{self._made.name}-trial"
        secret = self._core.read_namespaced_secret(name, self._made.namespace)
        return b64decode(secret.data[key]).decode()


@contextmanager
def watched(made: Release) -> Iterator[Trial]:
    """The release, whose database writes down from now on what happens to jobs."""
    service = f"service/{made.name}-orchestrator"
    with kept_forwarded(made.cluster, made.namespace, service, 50051) as port:
        trial = Trial(made, f"127.0.0.1:{port}")
        with trial.database() as connection:
            connection.execute(witness.SEES)
        yield trial


def pod_deleted(kind: str) -> Fault[Trial]:
    """The one pod of a kind, under load."""

    @contextmanager
    def strike(trial: Trial, rng: random.Random) -> Iterator[None]:
        trial.delete_pod(kind)
        yield

    return Fault(
        name=f"{kind} deleted", how="its pod deleted, with a second to go", strike=strike, seconds=down
    )
