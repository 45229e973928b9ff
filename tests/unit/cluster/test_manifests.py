"""A training Job as objects: what holds of each, whatever it is asked to be."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
from typer.main import get_command

from tests.fake_cluster import training_job
from training.exit_codes import AGAIN, DONE, FAILED, REFUSED, WRONG_USAGE
from training.launch import app as launcher
from uniaudio.cluster.manifests import FINAL_EXIT_CODES, job_manifest, service_manifest
from uniaudio.cluster.training_job import Toleration, TrainingJob
from uniaudio.errors import InvalidInputError

VARIANTS = {
    "plain": training_job(pods=1),
    "two pods": training_job(),
    "everything": training_job(
        recipe="ming16b",
        pods=4,
        gpus=8,
        queue="research",
        priority_class="batch",
        claim="corpora",
        tolerations=(Toleration(key="pool", value="a"), Toleration(key="spot", effect="NoSchedule")),
        node_selector={"pool": "h200"},
        environment={"UNIAUDIO_S3_TLS": "false"},
        arguments=("--only", "toy"),
        deadline_seconds=3600,
    ),
}


def pod_of(job: TrainingJob) -> dict[str, Any]:
    spec: dict[str, Any] = job_manifest(job)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("job", VARIANTS.values(), ids=list(VARIANTS))
@pytest.mark.parametrize("version", ["1.29", "1.37"])
def test_every_version_takes_them(job: TrainingJob, version: str) -> None:
    for manifest in (job_manifest(job), service_manifest(job, "uid")):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_a_job_ends_where_a_person_must_act_and_nothing_else_ends_it() -> None:
    rules = job_manifest(training_job())["spec"]["podFailurePolicy"]["rules"]
    assert [rule["action"] for rule in rules] == ["Ignore", "FailJob"]
    assert rules[0]["onPodConditions"] == [{"type": "DisruptionTarget", "status": "True"}]
    assert tuple(rules[1]["onExitCodes"]["values"]) == FINAL_EXIT_CODES
    assert set(FINAL_EXIT_CODES) == {FAILED, WRONG_USAGE, REFUSED}
    assert not {DONE, AGAIN} & set(FINAL_EXIT_CODES)


@pytest.mark.parametrize("job", VARIANTS.values(), ids=list(VARIANTS))
def test_the_launcher_knows_every_option_that_it_gets(job: TrainingJob) -> None:
    command = pod_of(job)["containers"][0]["command"]
    assert command[:3] == ["python", "-m", "training.launch"]
    with get_command(launcher).make_context("launch", list(command[3:])) as context:
        given = context.params
    assert (given["nnodes"], given["nproc_per_node"]) == (job.pods, job.ranks_per_pod)
    assert given["grace"] < job.grace_seconds
    assert given["arguments"] == [job.recipe, "--store", job.store, *job.arguments]


def test_ranks_of_several_pods_find_the_first_by_its_name() -> None:
    job = training_job(name="nano", pods=3)
    service = service_manifest(job, "uid")
    command = pod_of(job)["containers"][0]["command"]
    assert command[command.index("--master-addr") + 1] == "nano-0.nano"
    assert pod_of(job)["subdomain"] == service["metadata"]["name"] == "nano"
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["ownerReferences"][0]["uid"] == "uid"
    assert "subdomain" not in pod_of(training_job(pods=1))


def test_gpus_are_limits_with_their_toleration() -> None:
    spec = pod_of(VARIANTS["everything"])
    assert spec["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert spec["tolerations"] == [
        {"key": "nvidia.com/gpu", "operator": "Exists"},
        {"key": "pool", "operator": "Equal", "value": "a"},
        {"key": "spot", "operator": "Exists", "effect": "NoSchedule"},
    ]
    assert pod_of(training_job())["tolerations"] == []


def test_a_queue_holds_the_job_back() -> None:
    held, free = job_manifest(VARIANTS["everything"]), job_manifest(training_job())
    assert held["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "research"
    assert (held["spec"]["suspend"], free["spec"]["suspend"]) == (True, False)


def test_secrets_are_referred_to_and_never_written() -> None:
    environment = {entry["name"]: entry for entry in pod_of(training_job())["containers"][0]["env"]}
    for name in ("UNIAUDIO_S3_ENDPOINT", "UNIAUDIO_S3_ACCESS_KEY", "UNIAUDIO_S3_SECRET_KEY"):
        assert environment[name]["valueFrom"]["secretKeyRef"]["name"] == "store"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"name": "Toy"}, "name is 'Toy'; give at most 50"),
        ({"name": "a" * 51}, "give at most 50"),
        ({"recipe": "../train"}, "recipe is '../train'"),
        ({"store": None}, "store is missing"),
        ({"store_secret": None}, "store_secret is missing"),
    ],
)
def test_what_cannot_work_is_refused_before_any_cluster_sees_it(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(InvalidInputError, match=match):
        training_job(**changes)


def test_a_claim_may_stand_for_the_store() -> None:
    spec = pod_of(training_job(store=None, store_secret=None, claim="runs"))
    assert spec["volumes"][0] == {"name": "work", "persistentVolumeClaim": {"claimName": "runs"}}
    assert "--store" not in spec["containers"][0]["command"]
