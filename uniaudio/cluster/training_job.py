"""What a training Job is asked to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from uniaudio.errors import InvalidInputError

# Pods are called <name>-<index>-<random>, their hosts <name>-<index>, each with at most 63 letters.
MAX_NAME_LETTERS = 50
_NAME = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_RECIPE = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint that pods may be placed beside; an empty `effect` means all of its effects."""

    key: str
    value: str | None = None
    effect: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainingJob:
    """One run of a recipe on a cluster.

    `pods` of `gpus` GPUs each, with a rank for every GPU, or one where there is none. Checkpoints go to `store`, with
    the keys of `store_secret`, or stay on the volume of `claim`; with several pods that volume is one that all can
    mount. `retries` bounds how often a pod may be lost, and how often the ranks of a pod are started again.
    """

    name: str
    recipe: str
    image: str
    arguments: tuple[str, ...] = ()
    pods: int = 1
    gpus: int = 0
    cpu: str = "2"
    memory: str = "8Gi"
    store: str | None = None
    store_secret: str | None = None
    claim: str | None = None
    queue: str | None = None
    priority_class: str | None = None
    service_account: str = "uniaudio-training"
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    retries: int = 20
    grace_seconds: int = 120
    ttl_seconds: int = 7 * 86_400
    deadline_seconds: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > MAX_NAME_LETTERS:
            raise _refusal("name", self.name, f"at most {MAX_NAME_LETTERS} letters a-z, digits and dashes")
        if not _RECIPE.fullmatch(self.recipe):
            raise _refusal("recipe", self.recipe, "the name of a file of training/recipes")
        if self.store is None and self.claim is None:
            raise _refusal("store", None, "a store or a claim, else checkpoints end with their pod")
        if self.store is not None and self.store_secret is None:
            raise _refusal("store_secret", None, "the Secret with the keys of the store")

    @property
    def ranks_per_pod(self) -> int:
        """One for every GPU."""
        return max(1, self.gpus)


def _refusal(name: str, value: str | None, limit: str) -> InvalidInputError:
    shown = "missing" if value is None else repr(value)
    return InvalidInputError(
        f"{name} is {shown}; give {limit}", value=value or "", limit=limit, remedy=f"give {limit}"
    )
