"""Loopback ports that lead into the cluster, as `kubectl port-forward` opens them."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.pods.real_cluster import RealCluster
from uniaudio.runtime.ports import free_port

_LOOK_SECONDS = 0.2
_END_SECONDS = 30.0


@contextmanager
def forwarded(cluster: RealCluster, namespace: str, target: str, port: int) -> Iterator[int]:
    """One that leads to a pod's port, or to that of a pod behind a Service, as long as this pod lives."""
    command = cluster.command("port-forward", target, f":{port}", f"--namespace={namespace}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", first)
            assert found is not None, first + process.stdout.read()
            yield int(found[1])
        finally:
            process.kill()


@contextmanager
def kept_forwarded(cluster: RealCluster, namespace: str, target: str, port: int) -> Iterator[int]:
    """One that leads to the next pod behind a Service when a pod has gone, a moment after it is there."""
    local, over = free_port(), threading.Event()
    command = cluster.command("port-forward", target, f"{local}:{port}", f"--namespace={namespace}")

    def keep() -> None:
        while not over.wait(_LOOK_SECONDS):
            with subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:  # it ends when its pod does
                while process.poll() is None and not over.wait(_LOOK_SECONDS):
                    pass
                process.kill()

    keeper = threading.Thread(target=keep, name="port-forward", daemon=True)
    keeper.start()
    try:
        yield local
    finally:
        over.set()
        keeper.join(_END_SECONDS)
