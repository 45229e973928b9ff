"""Volumes for claims where no StorageClass makes them: folders of this machine's own cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

from kubernetes import client

from tests.pods.real_cluster import RealCluster

_SIZE = "10Gi"  # what is told; nobody holds a folder to it


@contextmanager
def volumes(cluster: RealCluster, namespace: str, owners: Mapping[str, int]) -> Iterator[None]:
    """One for each claim, its folder belonging to a user; a given cluster is left to its StorageClass."""
    core = client.CoreV1Api(cluster.api)
    with ExitStack() as stack:
        if cluster.machine is not None:
            for claim, user in owners.items():
                folder = cluster.machine.room.folder / "volumes" / namespace / claim
                folder.mkdir(parents=True, mode=0o700)
                os.chown(folder, user, user)
                name = f"{namespace}-{claim}"
                core.create_persistent_volume(_volume(name, str(folder), namespace, claim))
                stack.callback(core.delete_persistent_volume, name)
        yield


def _volume(name: str, folder: str, namespace: str, claim: str) -> dict[str, object]:
    spec = {
        "capacity": {"storage": _SIZE},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": folder, "type": "Directory"},
        "claimRef": {"namespace": namespace, "name": claim},
    }
    return {"metadata": {"name": name}, "spec": spec}
