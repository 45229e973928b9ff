"""etcd, API server, controllers and scheduler inside a room, with all that a real node needs of them."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from kubernetes import client
from urllib3.exceptions import HTTPError

from tests.certificates import Authority, Pair
from tests.machine.clients import api_client
from tests.machine.programs import MachineError, program
from tests.machine.room import PODS, SERVICES, Room

START_SECONDS = 240.0
API_SERVICE = "10.96.0.1"
_ETCD = "http://127.0.0.1:2379"
_ADMINS = "system:masters"


@dataclass
class ControlPlane:
    """Where the API server is, and kubeconfigs by client certificates."""

    room: Room
    authority: Authority
    _kubeconfigs: dict[str, Path] = field(default_factory=dict)

    @property
    def server(self) -> str:
        """The API server's address, the same inside and outside of the room."""
        return f"https://{self.room.inside}:6443"

    def kubeconfig(self, user: str, group: str) -> Path:
        """A file that needs no other file: certificates are in it."""
        if user not in self._kubeconfigs:
            path = self.room.folder / f"{user.replace(':', '-')}.kubeconfig"
            path.write_text(yaml.safe_dump(_config(self, self.authority.pair(user, group=group))))
            path.chmod(0o600)
            self._kubeconfigs[user] = path
        return self._kubeconfigs[user]

    @property
    def admin(self) -> Path:
        """The kubeconfig of who may everything."""
        return self.kubeconfig("admin", _ADMINS)

    def restart_controllers(self) -> None:
        """They forget what they keep in memory alone, as how often a Job's pods have failed."""
        self.room.restart("kube-controller-manager")


def start_control_plane(room: Room) -> ControlPlane:
    """One that is ready."""
    plane = ControlPlane(room, Authority(room.folder, "cluster"))
    signing = plane.authority.pair("service-accounts")
    room.start("etcd", program("etcd"), *_etcd_options(room))
    room.start("kube-apiserver", program("kube-apiserver"), *_api_options(plane, signing))
    wait_until(lambda: _is_ready(plane), room, "the API server")
    for name, options in (
        ("kube-controller-manager", _controller_options(plane, signing)),
        ("kube-scheduler", ["--leader-elect=false", "--bind-address=127.0.0.1"]),
    ):
        kubeconfig = plane.kubeconfig(f"system:{name}", _ADMINS)
        certificates = room.folder / f"{name}-certificates"
        room.start(name, program(name), f"--kubeconfig={kubeconfig}", f"--cert-dir={certificates}", *options)
    return plane


def wait_until(is_so: Callable[[], bool], room: Room, what: str, seconds: float = START_SECONDS) -> None:
    """Waits for `is_so()`; MachineError with the room's last words where it does not come."""
    ends_at = time.monotonic() + seconds
    while not is_so():
        room.check()
        if time.monotonic() > ends_at:
            raise MachineError(f"{what} is not ready after {seconds:g} s")
        time.sleep(0.2)


def _is_ready(plane: ControlPlane) -> bool:
    with api_client(plane.admin) as api:
        try:
            api.call_api("/readyz", "GET", _preload_content=False, _request_timeout=5)
            client.CoreV1Api(api).read_namespace("kube-system", _request_timeout=5)
        except (client.ApiException, HTTPError, OSError):
            return False
    return True


def _config(plane: ControlPlane, pair: Pair) -> dict[str, object]:
    cluster = {"server": plane.server, "certificate-authority-data": _in_base64(plane.authority.cert)}
    user = {"client-certificate-data": _in_base64(pair.cert), "client-key-data": _in_base64(pair.key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "uniaudio", "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
        "contexts": [{"name": "uniaudio", "context": {"cluster": "uniaudio", "user": "user"}}],
        "current-context": "uniaudio",
    }


def _in_base64(path: Path) -> str:
    return b64encode(path.read_bytes()).decode()


def _etcd_options(room: Room) -> list[str]:
    return [
        f"--data-dir={room.folder / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--unsafe-no-fsync",
    ]


def _api_options(plane: ControlPlane, signing: Pair) -> list[str]:
    authority, room = plane.authority, plane.room
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    serving = authority.pair(names=names, addresses=("127.0.0.1", room.inside, API_SERVICE))
    to_kubelets = authority.pair("kube-apiserver-kubelet-client", group=_ADMINS)
    proxies = Authority(room.folder, "front proxy")
    to_extensions = proxies.pair("front-proxy-client")
    return [
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={room.inside}",
        "--secure-port=6443",
        f"--tls-cert-file={serving.cert}",
        f"--tls-private-key-file={serving.key}",
        f"--client-ca-file={authority.cert}",
        f"--kubelet-certificate-authority={authority.cert}",
        f"--kubelet-client-certificate={to_kubelets.cert}",
        f"--kubelet-client-key={to_kubelets.key}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={proxies.cert}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={to_extensions.cert}",
        f"--proxy-client-key-file={to_extensions.key}",
        "--allow-privileged",  # whether pods may is for their namespace to say
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={SERVICES}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing.cert}",
        f"--service-account-signing-key-file={signing.key}",
    ]


def _controller_options(plane: ControlPlane, signing: Pair) -> list[str]:
    return [
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={signing.key}",
        f"--root-ca-file={plane.authority.cert}",
        f"--cluster-cidr={PODS}",
        # What waits in a real cluster for minutes, tests wait for too.
        "--horizontal-pod-autoscaler-sync-period=2s",
        "--horizontal-pod-autoscaler-downscale-stabilization=5s",
    ]
