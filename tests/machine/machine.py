"""A whole cluster of this machine's own: one real node, and everything gone afterwards."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubernetes import client

from tests.machine import programs
from tests.machine.cgroups import control_group, remove_left
from tests.machine.clients import api_client
from tests.machine.control_plane import ControlPlane, start_control_plane, wait_until
from tests.machine.dns import start_dns
from tests.machine.node import PROBE, Node
from tests.machine.room import Room, room

_PREFIX = "uniaudio-cluster-"


@dataclass(frozen=True)
class Machine:
    """A cluster that is ready for pods."""

    room: Room
    plane: ControlPlane
    node: Node

    @property
    def kubeconfig(self) -> Path:
        """Of who may everything."""
        return self.plane.admin


@contextmanager
def machine(note: Callable[[str], None]) -> Iterator[Machine]:
    """A cluster of its own; MachineError where something that it needs is missing. `note` hears how far it is."""
    programs.check()
    _sweep()
    name = f"{_PREFIX}{os.getpid()}"
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
        stack.callback(shutil.rmtree, folder)
        group = stack.enter_context(control_group(name))
        inside = stack.enter_context(room(folder, str(PROBE.program)))
        plane = start_control_plane(inside)
        note("the control plane is ready")
        node = Node(plane, "real", group)
        node.start()
        wait_until(lambda: _is_node_ready(plane, node.name), inside, "the node")
        note("the node is ready")
        start_dns(plane, node)
        note("names are answered")
        yield Machine(inside, plane, node)


def _sweep() -> None:
    """What a test that was killed could not take away; processes, mounts and links went by themselves."""
    remove_left(_PREFIX, _has_ended)
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        if _has_ended(folder.name.removeprefix(_PREFIX).partition("-")[0]):
            shutil.rmtree(folder)


def _has_ended(pid: str) -> bool:
    return pid.isdecimal() and not Path(f"/proc/{pid}").exists()


def _is_node_ready(plane: ControlPlane, name: str) -> bool:
    with api_client(plane.admin) as api:
        nodes = client.CoreV1Api(api).list_node().items
    conditions = [c for node in nodes if node.metadata.name == name for c in node.status.conditions or []]
    return any(condition.type == "Ready" and condition.status == "True" for condition in conditions)
