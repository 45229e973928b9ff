"""A real Kubernetes control plane on free loopback ports: etcd, API server, controllers, and no node.

What it is asked it checks, keeps and acts on as any cluster does; no pod runs, a test says what its pods do.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from kubernetes.client import ApiClient, Configuration, CoreV1Api
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from tests.certificates import Authority, Pair
from tests.machine.programs import program
from uniaudio.runtime.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 120.0
# Each authenticates by its name as token; what they may do is for tests to say.
USERS = ("admin", "alice", "mallory")
CONTROLLERS = (
    "job-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
    "serviceaccount-controller",
    "ttl-after-finished-controller",
)


@dataclass
class ControlPlane:
    """Where it is, and kubeconfigs for those who may call."""

    server: str
    authority: Path
    folder: Path
    _clients: dict[str, ApiClient] = field(default_factory=dict)

    def kubeconfig(self, user: str, namespace: str = "default") -> Path:
        """A file that makes kubectl, or our commands, call as `user`."""
        path = self.folder / f"{user}-{namespace}.yaml"
        cluster = {"server": self.server, "certificate-authority": str(self.authority)}
        context = {"cluster": "test", "user": user, "namespace": namespace}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": user}}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def client(self, user: str = "admin") -> ApiClient:
        """The official client, calling as `user`."""
        if user not in self._clients:
            configuration = Configuration()
            configuration.host = self.server
            configuration.ssl_ca_cert = str(self.authority)
            configuration.api_key = {"authorization": f"Bearer {user}"}
            configuration.retries = False
            self._clients[user] = ApiClient(configuration)
        return self._clients[user]

    def close(self) -> None:
        """Ends the clients' connections."""
        for client in self._clients.values():
            client.rest_client.pool_manager.clear()
            client.close()


def _program(name: str) -> str:
    path = program(name)
    if not Path(path).exists():
        pytest.skip(f"{name} is not built: install Go 1.26 and run `make control-plane` (about 7 min)")
    return path


@contextmanager
def control_plane(*options: str) -> Iterator[ControlPlane]:
    """One that is ready, its API server with further options; the test is skipped where programs were not built."""
    programs = {name: _program(name) for name in ("etcd", "kube-apiserver", "kube-controller-manager")}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="uniaudio-control-plane-")))
        authority = Authority(folder)
        plane = ControlPlane(f"https://127.0.0.1:{free_port()}", authority.cert, folder)
        stack.callback(plane.close)
        etcd = f"http://127.0.0.1:{free_port()}"
        signing = authority.pair("service-accounts")
        commands = {
            "etcd": _etcd_options(folder, etcd),
            "kube-apiserver": [*_api_options(plane, etcd, authority, signing), *options],
            "kube-controller-manager": _controller_options(plane, signing.key),
        }
        for name, arguments in commands.items():
            log = folder / f"{name}.log"
            process = stack.enter_context(running(programs[name], arguments, log))
            if name == "kube-apiserver":
                _wait_until_ready(plane, process, log)
        yield plane


def _etcd_options(folder: Path, address: str) -> list[str]:
    peers = f"http://127.0.0.1:{free_port()}"
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={address}",
        f"--advertise-client-urls={address}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
    ]


def _api_options(plane: ControlPlane, etcd: str, authority: Authority, signing: Pair) -> list[str]:
    tokens = plane.folder / "tokens.csv"
    groups = {"admin": "system:masters"}
    tokens.write_text("".join(f"{user},{user},{user},{groups.get(user, 'people')}\n" for user in USERS))
    pair = authority.pair()
    return [
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={plane.server.rpartition(':')[2]}",
        "--endpoint-reconciler-type=none",
        f"--cert-dir={plane.folder / 'apiserver'}",
        f"--tls-cert-file={pair.cert}",
        f"--tls-private-key-file={pair.key}",
        f"--token-auth-file={tokens}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={signing.cert}",
        f"--service-account-signing-key-file={signing.key}",
    ]


def _controller_options(plane: ControlPlane, key: Path) -> list[str]:
    return [
        f"--kubeconfig={plane.kubeconfig('admin')}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--service-account-private-key-file={key}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={plane.folder / 'controllers'}",
    ]


@contextmanager
def running(program: str, options: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The program while it is wanted. It is killed: the API server takes a minute to stop by itself.

    Ctrl-C does not reach it, so that tests can still take away what they made; it ends with this process at the latest.
    """
    command = ["setpriv", "--pdeathsig=KILL", program, *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=log.parent, start_new_session=True
        )
    try:
        yield process
        assert process.poll() is None, f"{program} ended by itself:\n{log.read_text()[-3000:]}"
    finally:
        process.kill()
        process.wait(timeout=30)


def _wait_until_ready(plane: ControlPlane, process: subprocess.Popen[bytes], log: Path) -> None:
    """Ready for everything: the first roles and namespaces are there."""
    ends_at = time.monotonic() + START_SECONDS
    api = plane.client()
    core = CoreV1Api(api)
    while process.poll() is None and time.monotonic() < ends_at:
        try:
            api.call_api(
                "/readyz", "GET", auth_settings=["BearerToken"], _preload_content=False, _request_timeout=5
            )
            core.read_namespace("default", _request_timeout=5)
        except (ApiException, HTTPError, OSError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"the API server is not ready:\n{log.read_text(errors='replace')[-3000:]}")
