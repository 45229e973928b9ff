"""Controllers of others as their own manifests install them, in images of our own making."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.machine.images import ProgramImage
from tests.machine.machine import Machine
from tests.machine.programs import MachineError, program, tool_folder

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Operator:
    """What installs one: a folder of its manifests, and an image for each Deployment."""

    namespace: str
    overlay: Path
    images: dict[str, ProgramImage]


def keda() -> Operator:
    """Scales by what waits, to zero and back; its operator, and the adapter that autoscalers ask."""
    folder = tool_folder("keda")
    images = {
        "keda-operator": ProgramImage("uniaudio/keda:1", folder / "operator", "/keda"),
        "keda-metrics-apiserver": ProgramImage(
            "uniaudio/keda-adapter:1", folder / "adapter", "/keda-adapter"
        ),
    }
    return Operator("keda", folder / "config/minimal", images)


def leader_worker_set() -> Operator:
    """Makes groups of pods, one leader and its workers, that live and die together."""
    folder = tool_folder("leaderworkerset")
    image = ProgramImage("uniaudio/lws:1", folder / "cmd", "/manager")
    return Operator("lws-system", folder / "config/default", {"lws-controller-manager": image})


def install(machine: Machine, operator: Operator) -> None:
    """Returns once its Deployments are available."""
    for image in operator.images.values():
        machine.node.load(image)
    manifests = list(yaml.safe_load_all(kubectl(machine, "kustomize", str(operator.overlay))))
    for manifest in manifests:
        if manifest["kind"] == "Deployment":
            _adapt(manifest, operator.images[manifest["metadata"]["name"]])
    content = yaml.safe_dump_all(manifests)
    kubectl(machine, "apply", "--server-side", "--filename=-", given=content)
    for name in operator.images:
        wait = ("--for=condition=Available", "--timeout=240s", f"--namespace={operator.namespace}")
        kubectl(machine, "wait", f"deployment/{name}", *wait)


def _adapt(deployment: Manifest, image: ProgramImage) -> None:
    """One replica from an image that is here, on a node that may be small."""
    deployment["spec"]["replicas"] = 1
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container |= {"image": image.name, "imagePullPolicy": "IfNotPresent"}
    container["resources"] = {"requests": {"cpu": "20m", "memory": "64Mi"}}
    # Begun anew for being slow on a busy machine, one whose webhook is asked holds up every pod.
    container.pop("livenessProbe", None)


def kubectl(machine: Machine, *arguments: str, given: str | None = None) -> str:
    """What it prints; MachineError with its words where it fails."""
    command = [program("kubectl"), f"--kubeconfig={machine.kubeconfig}", *arguments]
    result = subprocess.run(command, input=given, capture_output=True, text=True, timeout=300, check=False)
    if result.returncode:
        raise MachineError(f"kubectl {' '.join(arguments)} failed: {result.stderr[-3000:]}")
    return result.stdout
