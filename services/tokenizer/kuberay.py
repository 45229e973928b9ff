"""The service on a Ray that KubeRay runs: what the RayService's Serve configuration imports."""

from __future__ import annotations

from ray import serve

from services.tokenizer.deployment import make_application
from services.tokenizer.settings import Settings
from uniaudio.runtime.settings import read_settings


def application(arguments: dict[str, str]) -> serve.Application:
    """The application as the pods' environment says; its replicas go to pods that offer a CPU, one to each."""
    return make_application(read_settings(Settings), num_cpus=1)
