"""The programs of a whole Kubernetes: those that the Makefile builds into the user's cache, and the system's own."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from tools.images import programs

ROOT = Path(__file__).resolve().parents[2]
# What each module under tools/ brings, and whose version its folder in the cache is called by.
BUILT = {
    "kubernetes": (
        "k8s.io/kubernetes",
        (
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kube-proxy",
            "kubelet",
            "kubectl",
        ),
    ),
    "containerd": (
        "github.com/containerd/containerd/v2",
        ("containerd", "containerd-shim-runc-v2", "ctr"),
    ),
    "coredns": ("github.com/coredns/coredns", ("coredns",)),
    "kwok": ("sigs.k8s.io/kwok", ("kwok",)),
    "keda": ("github.com/kedacore/keda/v2", ("operator", "adapter")),
    "leaderworkerset": ("sigs.k8s.io/lws", ("cmd",)),
}
SYSTEM = {
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
CNI_FOLDERS = (Path("/usr/lib/cni"), Path("/opt/cni/bin"))


class MachineError(RuntimeError):
    """A whole Kubernetes cannot run, or did not start, on this machine; says what to do."""


def tool_folder(tool: str) -> Path:
    """The folder of one module's programs, and of the manifests that came with it."""
    module, _ = BUILT[tool]
    return programs.tool_folder(tool, module)


def program(name: str) -> str:
    """The path of a built program."""
    (tool,) = [tool for tool, (_, names) in BUILT.items() if name in names]
    return str(tool_folder(tool) / name)


def cni_folder() -> Path:
    """Where the system keeps the plugins that give pods their network."""
    return next((folder for folder in CNI_FOLDERS if (folder / "ptp").exists()), CNI_FOLDERS[0])


def check() -> None:
    """Raises MachineError that names everything that is missing, with the command that brings it."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise MachineError(
            "a whole Kubernetes needs Linux and root: run this as root, or give a cluster with KUBECONFIG=FILE"
        )
    packages = {package for name, package in SYSTEM.items() if shutil.which(name) is None}
    if not (cni_folder() / "ptp").exists():
        packages.add("containernetworking-plugins")
    unbuilt = [tool for tool in BUILT if not (tool_folder(tool) / ".built").exists()]
    remedies = [f"apt-get install --no-install-recommends {' '.join(sorted(packages))}"] if packages else []
    remedies += ["make cluster-tools (Go 1.26; about 15 minutes the first time)"] if unbuilt else []
    if remedies:
        missing = ", ".join([*sorted(packages), *unbuilt])
        raise MachineError(f"missing: {missing}; run {' and '.join(remedies)}")
