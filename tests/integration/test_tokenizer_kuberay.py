"""The Serve configuration of the chart's RayService, read by Ray itself, and the application that it names, built."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.chart.render import find, render_chart

CHECK = """
import sys, yaml
from ray.serve.schema import ServeDeploySchema
from services.tokenizer.ray_run import SERVICER_FUNCTIONS
from services.tokenizer.kuberay import application

config = ServeDeploySchema.model_validate(yaml.safe_load(sys.stdin.read()))
assert list(config.grpc_options.grpc_servicer_functions) == SERVICER_FUNCTIONS, config.grpc_options
(named,) = config.applications
assert named.import_path == f"{application.__module__}:{application.__name__}"
deployment = application({})._bound_deployment
assert deployment.name == "tokenizer"
assert deployment.ray_actor_options == {"num_cpus": 1, "num_gpus": 0}, deployment.ray_actor_options
scaling = deployment._deployment_config.autoscaling_config
assert (scaling.min_replicas, scaling.max_replicas) == (3, 3)
"""


def test_ray_takes_the_configuration_and_the_application(tmp_path: Path) -> None:
    values = {"tokenizer": {"rayService": {"enabled": True}, "replicas": 3}}
    config = find(render_chart(values), "RayService", "trial-tokenizer")["spec"]["serveConfigV2"]
    environ = {
        **os.environ,
        "UNIAUDIO_MODEL_DIR": str(tmp_path),
        "UNIAUDIO_TOKENIZER_MIN_REPLICAS": "3",
        "UNIAUDIO_TOKENIZER_MAX_REPLICAS": "3",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    result = subprocess.run(
        [sys.executable, "-c", CHECK],
        input=config,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
