"""One real node inside a room: containerd, kubelet and kube-proxy, and the images that its pods may run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import yaml

from tests.machine.control_plane import ControlPlane, wait_until
from tests.machine.images import ProgramImage, write_image
from tests.machine.programs import ROOT, MachineError, cni_folder, program
from tests.machine.room import PODS, Room

DNS_SERVICE = "10.96.0.10"
PROBE = ProgramImage("uniaudio/probe:1", ROOT / ".tools/bin/probe", "/probe", ("pause",))
_SOCKET = "/run/containerd/containerd.sock"
_IMPORT_SECONDS = 600.0


class Node:
    """The node, once its kubelet runs."""

    def __init__(self, plane: ControlPlane, name: str, control_group: str) -> None:
        self._plane, self._room = plane, plane.room
        self.name = name
        self._control_group = control_group

    def start(self) -> None:
        """containerd first, then the image of every pod's sandbox, then the kubelet."""
        room = self._room
        config = room.folder / "containerd.toml"
        config.write_text(_containerd_config(room))
        path = f"{Path(program('containerd')).parent}:{os.environ['PATH']}"
        room.start("containerd", "env", f"PATH={path}", program("containerd"), f"--config={config}")
        wait_until(self._has_containerd, room, "containerd")
        self.load(PROBE)
        self._start_kubelet()
        self._start_proxy()

    def load(self, image: ProgramImage) -> None:
        """Makes an image of one program known here."""
        archive = write_image(image, self._room.folder / "image.tar")
        self.load_archive(archive)
        archive.unlink()

    def load_archive(self, archive: Path) -> None:
        """Makes an image known here: an archive by BuildKit, docker or skopeo."""
        self._ctr("images", "import", "--digests=false", str(archive))

    def _ctr(self, *arguments: str) -> str:
        options = (f"--address={_SOCKET}", "--namespace=k8s.io")
        return self._room.run(program("ctr"), *options, *arguments, timeout=_IMPORT_SECONDS)

    def _has_containerd(self) -> bool:
        try:
            self._ctr("version")
        except MachineError:
            return False
        return True

    def _start_kubelet(self) -> None:
        room, authority = self._room, self._plane.authority
        pair = authority.pair(self.name, addresses=(room.inside,))
        config = room.folder / "kubelet.yaml"
        settings = _kubelet_config(room, self._control_group, authority.cert)
        serving = {"tlsCertFile": str(pair.cert), "tlsPrivateKeyFile": str(pair.key)}
        config.write_text(yaml.safe_dump({**settings, **serving}))
        kubeconfig = self._plane.kubeconfig(f"system:node:{self.name}", "system:nodes")
        room.start(
            "kubelet",
            program("kubelet"),
            f"--config={config}",
            f"--kubeconfig={kubeconfig}",
            f"--root-dir={room.folder / 'kubelet'}",
            f"--hostname-override={self.name}",
            f"--node-ip={room.inside}",
        )

    def _start_proxy(self) -> None:
        self._room.start(
            "kube-proxy",
            program("kube-proxy"),
            f"--kubeconfig={self._plane.kubeconfig('system:kube-proxy', 'system:masters')}",
            f"--hostname-override={self.name}",
            f"--cluster-cidr={PODS}",
            "--proxy-mode=nftables",
            # These belong to the whole machine.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0",
        )


def _containerd_config(room: Room) -> str:
    """Without the right to lower an oom_score_adj sandboxes die unless it is restricted."""
    network = room.folder / "cni"
    network.mkdir()
    (network / "10-pods.conflist").write_text(json.dumps(_pod_network(room)))
    return f"""
version = 3
root = "{room.folder}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = "{_SOCKET}"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "docker.io/{PROBE.name}"
[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
SystemdCgroup = false
BinaryName = "{shutil.which("runc")}"
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{cni_folder()}"]
conf_dir = "{network}"
"""


def _pod_network(room: Room) -> dict[str, object]:
    """A cable for each pod: a bridge would need br_netfilter for Services between neighbours."""
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(room.folder / "addresses"),
    }
    return {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{"type": "ptp", "ipMasq": False, "ipam": addresses}],
    }


def _kubelet_config(room: Room, control_group: str, authority: Path) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"x509": {"clientCAFile": str(authority)}},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": control_group,
        "clusterDNS": [DNS_SERVICE],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": f"unix://{_SOCKET}",
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "podLogsDir": str(room.folder / "pods"),
        "resolvConf": "",
    }
