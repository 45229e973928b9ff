"""The cluster that pods of the tests run on: a given one, or one of this machine's own."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

import uniaudio
from tests.machine.clients import api_client
from tests.machine.images import ProgramImage
from tests.machine.machine import Machine, machine
from tests.machine.programs import program
from tests.pods.waiting import eventually
from tools.images.programs import cache

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
_log = logging.getLogger("cluster")
_numbers = count()


class CommandError(AssertionError):
    """kubectl, or what it ran in a pod, failed; carries its words."""


@dataclass
class RealCluster:
    """As who may everything sees it. `machine` is there where it is this machine's own."""

    kubeconfig: Path
    api: client.ApiClient
    machine: Machine | None
    _images: set[str] = field(default_factory=set)

    @property
    def registry(self) -> str:
        """What stands before an image's name: a given cluster pulls it from there, or has it."""
        return os.environ.get("UNIAUDIO_CLUSTER_REGISTRY", "") if self.machine is None else ""

    def image(self, image: ProgramImage) -> str:
        """The image's name for pods."""
        if self.machine is None:
            return self.registry + image.name
        if image.name not in self._images:
            self.machine.node.load(image)
            self._images.add(image.name)
        return image.name

    def product(self, name: str) -> str:
        """One of our own images, as `make images` leaves it or as a given cluster pulls it."""
        reference = f"uniaudio/{name}:{uniaudio.__version__}"
        if self.machine is None:
            return self.registry + reference
        archive = cache() / f"images/{name}.tar"
        if not archive.exists():
            pytest.skip(f"{archive} is not there: run `make images`")
        if reference not in self._images:
            self.machine.node.load_archive(archive)
            self._images.add(reference)
        return reference

    def command(self, *arguments: str) -> list[str]:
        """How kubectl is called."""
        path = shutil.which("kubectl") if self.machine is None else program("kubectl")
        assert path is not None, "install kubectl, it goes with a cluster of one's own"
        return [path, f"--kubeconfig={self.kubeconfig}", *arguments]

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        """What it prints."""
        command = self.command(*arguments)
        result = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=300, check=False
        )
        if result.returncode:
            raise CommandError(f"kubectl {' '.join(arguments)}: {result.stderr[-3000:]}")
        return result.stdout

    @contextmanager
    def namespace(self, purpose: str) -> Iterator[str]:
        """One of its own, for restricted pods; gone with all that is in it at the end."""
        core = client.CoreV1Api(self.api)
        name = f"{purpose}-{os.getpid()}-{next(_numbers)}"
        core.create_namespace({"metadata": {"name": name, "labels": RESTRICTED}})
        try:
            accounts = client.CoreV1Api(self.api)
            eventually(lambda: accounts.list_namespaced_service_account(name).items)
            yield name
        finally:
            core.delete_namespace(name)
            eventually(lambda: not _exists(core, name))

    def run(self, namespace: str, pod: str, *command: str) -> str:
        """What a program in a running pod prints."""
        return self.kubectl("exec", pod, f"--namespace={namespace}", "--", *command)


@contextmanager
def real_cluster(kubeconfig: str | None) -> Iterator[RealCluster]:
    """The given cluster, or one of this machine's own that goes at the end."""
    if kubeconfig is not None:
        with api_client(Path(kubeconfig)) as api:
            yield RealCluster(Path(kubeconfig), api, None)
        return
    with machine(_log.info) as made, api_client(made.kubeconfig) as api:
        yield RealCluster(made.kubeconfig, api, made)


def restricted_pod(name: str, image: str, *arguments: str, labels: dict[str, str] | None = None) -> Any:
    """A pod as the restricted standard wants it, whose program the image names."""
    container: dict[str, Any] = {
        "name": "main",
        "image": image,
        "args": list(arguments),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return {
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "containers": [container],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
        },
    }


def _exists(core: client.CoreV1Api, namespace: str) -> bool:
    try:
        core.read_namespace(namespace)
    except client.ApiException as error:
        if error.status == 404:
            return False
        raise
    return True
