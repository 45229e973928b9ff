"""What nodes would tell of their pods, told by the test: phases, exit codes, evictions, and logs by HTTPS."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import parse_qs, urlparse

from kubernetes import client

from tests.certificates import Authority
from uniaudio.cluster.manifests import CONTAINER, INDEX

T = TypeVar("T")
SECONDS = 60.0


def eventually(look: Callable[[], T], wanted: Callable[[T], object] = bool, seconds: float = SECONDS) -> T:
    """What `look` gives once it is as wanted."""
    ends_at = time.monotonic() + seconds
    while not wanted(found := look()):
        assert time.monotonic() < ends_at, f"still {found}"
        time.sleep(0.1)
    return found


class Nodes:
    """One node that takes every pod, and does with it what a test says."""

    def __init__(self, api: client.ApiClient, namespace: str, name: str) -> None:
        self._core = client.CoreV1Api(api)
        self._namespace, self._name = namespace, name
        self.logs: dict[str, list[tuple[str, str]]] = {}  # of each pod: stamp and text of each line
        self.lines_before_cut: dict[str, int] = {}  # how many lines a connection carries before it is cut
        self.num_log_calls = 0

    @classmethod
    @contextmanager
    def serving(cls, api: client.ApiClient, namespace: str, folder: Path) -> Iterator[Self]:
        """Known to the cluster, and serving logs."""
        nodes = cls(api, namespace, f"node-of-{namespace}")
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(nodes))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = Authority(folder).pair()
        context.load_cert_chain(pair.cert, pair.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            nodes._register(server.server_address[1])
            yield nodes
        finally:
            server.shutdown()
            server.server_close()
            thread.join(timeout=10)

    def pods(self, index: int | None = None) -> list[Any]:
        """The pods that are there, oldest first."""
        found = self._core.list_namespaced_pod(self._namespace).items
        own = [pod for pod in found if index is None or pod.metadata.annotations.get(INDEX) == str(index)]
        return sorted(own, key=lambda pod: pod.metadata.creation_timestamp)

    def take(self, num_pods: int) -> list[str]:
        """Waits for so many pods without a node, and takes them; their names."""
        pods = eventually(
            lambda: [pod for pod in self.pods() if pod.spec.node_name is None and _is_alive(pod)],
            lambda found: len(found) == num_pods,
        )
        for pod in pods:
            target = {"apiVersion": "v1", "kind": "Node", "name": self._name}
            body = client.V1Binding(metadata={"name": pod.metadata.name}, target=target)
            # The reply is a Status, which the client does not expect.
            self._core.create_namespaced_binding(self._namespace, body, _preload_content=False)
        return [pod.metadata.name for pod in pods]

    def run(self, pod: str) -> None:
        """The pod runs."""
        self._set(pod, "Running", {"running": {"startedAt": _now()}})

    def end(self, pod: str, exit_code: int) -> None:
        """Its container ended."""
        ended = {"exitCode": exit_code, "finishedAt": _now(), "reason": "Error" if exit_code else "Completed"}
        self._set(pod, "Failed" if exit_code else "Succeeded", {"terminated": ended})

    def wait_for_image(self, pod: str, reason: str, message: str) -> None:
        """Its image does not come."""
        self._set(pod, "Pending", {"waiting": {"reason": reason, "message": message}})

    def evict(self, pod: str) -> None:
        """By the cluster's own eviction; the container saves, and ends as training does."""
        eviction = client.V1Eviction(metadata={"name": pod, "namespace": self._namespace})
        self._core.create_namespaced_pod_eviction(pod, self._namespace, eviction, _preload_content=False)
        self.end(pod, 75)
        self.forget(pod)

    def forget(self, pod: str) -> None:
        """As a node does last: a deleted pod has ended, and goes."""
        self._core.delete_namespaced_pod(pod, self._namespace, grace_period_seconds=0)

    def _set(self, pod: str, phase: str, state: dict[str, Any]) -> None:
        container = {
            "name": CONTAINER,
            "image": "uniaudio/training:test",
            "imageID": "",
            "ready": phase == "Running",
            "restartCount": 0,
            "state": state,
        }
        status = {"phase": phase, "containerStatuses": [container], "startTime": _now()}
        self._core.patch_namespaced_pod_status(pod, self._namespace, {"status": status})

    def _register(self, port: int) -> None:
        self._core.create_node({"metadata": {"name": self._name}})
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        self._core.patch_node_status(self._name, {"status": status})

    def log(self, pod: str, since: float) -> Iterator[bytes]:
        """The lines since a moment; the connection is cut after as many as were said once."""
        self.num_log_calls += 1
        num_before_cut = self.lines_before_cut.pop(pod, None)
        for number, (stamp, text) in enumerate(list(self.logs.get(pod, []))):
            if number == num_before_cut:
                raise ConnectionAbortedError
            if datetime.fromisoformat(stamp).timestamp() >= since:
                yield f"{stamp} {text}\n".encode()


def _handler(nodes: Nodes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """/containerLogs/NAMESPACE/POD/CONTAINER, as a kubelet serves it."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlparse(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            seconds = float(query.get("sinceSeconds", "inf"))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            lines = nodes.log(url.path.split("/")[3], time.time() - seconds)
            tail = int(query.get("tailLines", 10_000))
            has_stamps = query.get("timestamps") == "true"
            try:
                for line in list(lines)[-tail:] if "tailLines" in query else lines:
                    self._send(line if has_stamps else line.partition(b" ")[2])
                self.wfile.write(b"0\r\n\r\n")
            except ConnectionAbortedError:
                self.wfile.flush()
                self.close_connection = True  # in the middle of the chunks

        def _send(self, line: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            self.wfile.flush()

        def log_message(self, format: str, *_: object) -> None:
            return None

    return Handler


def _is_alive(pod: Any) -> bool:
    return pod.metadata.deletion_timestamp is None and pod.status.phase == "Pending"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
