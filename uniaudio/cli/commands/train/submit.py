"""`uniaudio train submit`: a recipe to a Job that trains it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

import uniaudio
from uniaudio.cli import options
from uniaudio.cli.commands.train.logs import follow
from uniaudio.cli.commands.train.place import Context, Namespace, state_line
from uniaudio.cli.outcome import reported, say
from uniaudio.cli.session import print_json, progress

if TYPE_CHECKING:
    from uniaudio.cluster.cluster import Cluster
    from uniaudio.cluster.training_job import Toleration, TrainingJob

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


def submit(
    recipe: Annotated[str, typer.Argument(help="The recipe's name, a file of training/recipes.")],
    arguments: Annotated[
        list[str] | None, typer.Argument(help='After "--": options of training.train, as --only or --steps.')
    ] = None,
    name: Annotated[str, typer.Option(help="The Job's name.", show_default="the recipe's")] = "",
    image: Annotated[
        str, typer.Option(envvar="UNIAUDIO_TRAINING_IMAGE", help="Image of training.")
    ] = f"uniaudio/training:{uniaudio.__version__}",
    store: Annotated[
        str | None, typer.Option(help="Where checkpoints go: s3://bucket/prefix.", show_default="the claim")
    ] = None,
    store_secret: Annotated[
        str | None, typer.Option(help="Secret with the store's endpoint, access-key and secret-key.")
    ] = None,
    claim: Annotated[
        str | None, typer.Option(help="Volume claim for data and runs; several pods share it.")
    ] = None,
    pods: Annotated[int, typer.Option(min=1, max=1024, help="Pods.")] = 1,
    gpus: Annotated[int, typer.Option(min=0, max=16, help="GPUs of each pod; each gets a rank.")] = 0,
    cpu: Annotated[str, typer.Option(help="CPUs that each pod asks for.")] = "2",
    memory: Annotated[str, typer.Option(help="Memory of each pod.")] = "8Gi",
    queue: Annotated[
        str | None, typer.Option(help="Queue of Kueue; the Job begins once it is let go.")
    ] = None,
    priority_class: Annotated[str | None, typer.Option(help="Priority class of the pods.")] = None,
    toleration: Annotated[
        list[str] | None, typer.Option(help="KEY, KEY=VALUE or KEY:EFFECT; may be given again and again.")
    ] = None,
    node_selector: Annotated[
        list[str] | None, typer.Option(help="LABEL=VALUE of nodes; may be given again and again.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for the pods; may be given again and again.")
    ] = None,
    service_account: Annotated[str, typer.Option(help="Whom the pods run as.")] = "uniaudio-training",
    retries: Annotated[
        int, typer.Option(min=0, max=10_000, help="How often pods or ranks may be lost.")
    ] = 20,
    grace: Annotated[int, typer.Option(min=10, max=86_400, help="Seconds to save when stopped.")] = 120,
    ttl: Annotated[int, typer.Option(min=0, help="Seconds that a Job stays listed after its end.")] = 604_800,
    deadline: Annotated[int | None, typer.Option(min=1, help="Seconds that the whole Job may take.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the cluster would keep; make nothing.")
    ] = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the start; 0 does not wait.")
    ] = 300.0,
    follow_log: Annotated[
        bool, typer.Option("--follow", "-f", help="Follow the log to the end afterwards.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    json: options.Json = False,
) -> None:
    """Train a recipe on the cluster, and print the Job's name.

    Submitting again under the same store goes on from the last checkpoint there.
    """
    tolerations = tuple(_toleration(text) for text in toleration or ())
    labels, values = _pairs(node_selector, "--node-selector"), _pairs(env, "--env")
    with reported(as_json=json):
        from uniaudio.cluster.connection import open_cluster
        from uniaudio.cluster.training_job import TrainingJob

        job = TrainingJob(
            name=name or recipe.replace("_", "-"),
            recipe=recipe,
            image=image,
            arguments=tuple(arguments or ()),
            pods=pods,
            gpus=gpus,
            cpu=cpu,
            memory=memory,
            store=store,
            store_secret=store_secret,
            claim=claim,
            queue=queue,
            priority_class=priority_class,
            service_account=service_account,
            tolerations=tolerations,
            node_selector=labels,
            environment=values,
            retries=retries,
            grace_seconds=grace,
            ttl_seconds=ttl,
            deadline_seconds=deadline,
        )
        with open_cluster(context=context, namespace=namespace) as cluster:
            if dry_run:
                _print_checked(cluster, job)
                return
            _begin(cluster, job, wait, as_json=json)
            if follow_log:
                follow(cluster, job.name)


def _print_checked(cluster: Cluster, job: TrainingJob) -> None:
    from uniaudio.cluster.submitting import check

    print_json({"apiVersion": "v1", "kind": "List", "items": check(cluster, job)})


def _begin(cluster: Cluster, job: TrainingJob, wait_seconds: float, *, as_json: bool) -> None:
    """Makes the Job and sees it start; its name is printed as soon as there is one."""
    from uniaudio.cluster import submitting
    from uniaudio.cluster.state import state_of

    made = submitting.submit(cluster, job)
    if not as_json:
        typer.echo(job.name)
    state = state_of(made, [])
    if wait_seconds:
        with progress(f"starting {job.name}", quiet=as_json) as report:
            state = submitting.wait_for_start(
                cluster,
                job.name,
                timeout_seconds=wait_seconds,
                report=lambda state: report(state_line(state), None),
            )
    if as_json:
        print_json(asdict(state))
    else:
        say(state_line(state))


def _toleration(text: str) -> Toleration:
    from uniaudio.cluster.training_job import Toleration

    taint, colon, effect = text.partition(":")
    key, equals, value = taint.partition("=")
    if not key or (colon and effect not in _EFFECTS):
        raise typer.BadParameter(
            f"{text!r} is no toleration; write KEY, KEY=VALUE or KEY:EFFECT, where EFFECT is one of "
            f"{', '.join(_EFFECTS)}.",
            param_hint="--toleration",
        )
    return Toleration(key=key, value=value if equals else None, effect=effect)


def _pairs(texts: list[str] | None, option: str) -> dict[str, str]:
    """Names and values, of which a later one counts."""
    pairs = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{text!r} is no pair; write NAME=VALUE.", param_hint=option)
        pairs[key] = value
    return pairs
