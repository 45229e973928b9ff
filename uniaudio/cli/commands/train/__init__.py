"""`uniaudio train`: training runs on a Kubernetes cluster."""

from __future__ import annotations

import typer

from uniaudio.cli.commands.train.logs import logs
from uniaudio.cli.commands.train.show import list_training
from uniaudio.cli.commands.train.stop import stop
from uniaudio.cli.commands.train.submit import submit

HELP = """Train on a Kubernetes cluster: each run is a Job that outlives this command.

The cluster is the current context of KUBECONFIG. A pod that is lost is made again and goes on from the last
checkpoint; a configuration that training refuses ends the Job.
"""

train = typer.Typer(name="train", help=HELP, no_args_is_help=True)
for command in (submit, logs, stop):
    train.command()(command)
train.command(name="list")(list_training)
