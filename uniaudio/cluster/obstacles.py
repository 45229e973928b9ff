"""What keeps a Job's pods from running, and which error it stands for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from uniaudio.cluster.manifests import Manifest
from uniaudio.cluster.refusals import QUOTA_WORDS, quota_error
from uniaudio.errors import NotFoundError, PreconditionError, UniaudioError

# An image whose first pull failed may still come; one that is backed off from was tried again.
_NO_IMAGE = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_PULL_FAILED = "ErrImagePull"
_NO_CONTAINER = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

Kind = Literal["image", "container", "pod", "quota", "place"]


@dataclass(frozen=True, kw_only=True)
class Obstacle:
    """`kind`: no such image, a container that cannot be made (a missing Secret), a pod that may not be made, no
    quota left, or no node with room for it."""

    kind: Kind
    message: str

    def error(self, job_name: str) -> UniaudioError | None:
        """What a person must do something about; None for a place, which time may bring."""
        stop = f"then `uniaudio train stop {job_name}` and submit again"
        if self.kind == "quota":
            return quota_error(self.message)
        if self.kind == "image":
            text, remedy = "the image cannot be had", f"correct --image or the rights to pull it, {stop}"
            return NotFoundError(
                f"{text}: {self.message}; {remedy}",
                reason="IMAGE_MISSING",
                value=self.message,
                limit="an image that the nodes can pull",
                remedy=remedy,
            )
        if self.kind in ("container", "pod"):
            remedy = "make what it names; the Job goes on by itself"
            return PreconditionError(
                f"no {self.kind} can be made: {self.message}; {remedy}",
                reason="CLUSTER_LACKS",
                value=self.message,
                limit="what the pod names exists",
                remedy=remedy,
            )
        return None


def find_obstacle(pods: Iterable[Manifest], warnings: Sequence[Manifest] = ()) -> Obstacle | None:
    """The first thing that keeps one of `pods` from running, or the Job, by its `warnings`, from making them."""
    found = [obstacle for pod in pods for obstacle in _of_pod(pod)]
    return next(iter([*found, *_of_job(warnings)]), None)


def _of_pod(pod: Manifest) -> Iterator[Obstacle]:
    status = pod["status"]
    for container in status.get("containerStatuses", []):
        waiting = container["state"].get("waiting", {})
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        said = f"{container['image']}: {reason}: {message}".rstrip(": ")
        if reason in _NO_IMAGE:
            yield Obstacle(kind="image", message=said)
        elif reason in _NO_CONTAINER:
            yield Obstacle(kind="container", message=f"{reason}: {message}".rstrip(": "))
        elif reason == _PULL_FAILED:
            yield Obstacle(kind="place", message=said)
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield Obstacle(kind="place", message=condition.get("message", "not scheduled yet"))


def _of_job(warnings: Sequence[Manifest]) -> Iterator[Obstacle]:
    """The newest refusal to make a pod."""
    refused = [event for event in warnings if event.get("reason") == "FailedCreate"]
    for event in sorted(refused, key=_told_at)[-1:]:
        is_quota = QUOTA_WORDS in event["message"]
        yield Obstacle(kind="quota" if is_quota else "pod", message=event["message"])


def _told_at(event: Manifest) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
