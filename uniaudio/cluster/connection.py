"""Finds the cluster that a person means: a kubeconfig's context, or the cluster that this process runs in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from uniaudio.cluster.cluster import KubernetesCluster
from uniaudio.errors import InvalidInputError, StartupError

if TYPE_CHECKING:
    from kubernetes.client import Configuration

_RETRIES = 3
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@contextmanager
def open_cluster(*, context: str | None = None, namespace: str | None = None) -> Iterator[KubernetesCluster]:
    """The namespace of `context`, KUBECONFIG's current one by default; nothing is asked of it yet.

    Raises InvalidInputError (NO_CLUSTER) where there is no such context or no kubeconfig that can be read, and
    StartupError where the Kubernetes client is not installed.
    """
    try:
        from kubernetes.client import ApiClient
    except ImportError as error:
        raise StartupError(
            "training on a cluster needs a library that is not installed; pip install 'uniaudio[cluster]'",
            reason="MISSING_PACKAGE",
            value="kubernetes",
            limit="an installed package",
            remedy="pip install 'uniaudio[cluster]'",
        ) from error
    configuration, own = _configured(context)
    configuration.retries = _RETRIES
    client = ApiClient(configuration)
    try:
        yield KubernetesCluster(client, namespace or own)
    finally:
        client.rest_client.pool_manager.clear()
        client.close()


def _configured(context: str | None) -> tuple[Configuration, str]:
    """How the cluster is reached, and the namespace that its context names."""
    from kubernetes import config
    from kubernetes.client import Configuration

    configuration = Configuration()
    file = os.environ.get("KUBECONFIG")  # by hand: the client looks only when it is imported
    try:
        if context is None and file is None and _OWN_NAMESPACE.exists():
            config.load_incluster_config(client_configuration=configuration)
            return configuration, _OWN_NAMESPACE.read_text().strip()
        config.load_kube_config(file, context=context, client_configuration=configuration)
        contexts, current = config.list_kube_config_contexts(file)
        chosen = next((found for found in contexts if found["name"] == context), current)
        return configuration, chosen["context"].get("namespace", "default")
    except config.ConfigException as error:
        raise InvalidInputError(
            f"no cluster is known: {error}; set KUBECONFIG, or name a context of it with --context",
            reason="NO_CLUSTER",
            value=context or file or "~/.kube/config",
            limit="a context of a kubeconfig",
            remedy="set KUBECONFIG, or name a context of it with --context",
        ) from error
