"""The official client for a kubeconfig."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kubernetes.client import ApiClient, Configuration
from kubernetes.config import load_kube_config


@contextmanager
def api_client(kubeconfig: Path) -> Iterator[ApiClient]:
    """It tries nothing twice, and leaves no connection open."""
    configuration = Configuration()
    load_kube_config(str(kubeconfig), client_configuration=configuration)
    configuration.retries = False
    with ApiClient(configuration) as api:
        yield api
        api.rest_client.pool_manager.clear()
