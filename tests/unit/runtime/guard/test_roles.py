"""Every method of every service asks for a role, and what has no row is nobody's."""

from __future__ import annotations

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor import FileDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import uniaudio.v1
from uniaudio.errors import PermissionDeniedError
from uniaudio.runtime.guard.roles import METHODS, Access, Role, check_role, is_public


def descriptors() -> list[FileDescriptor]:
    names = [
        module.name for module in pkgutil.iter_modules(uniaudio.v1.__path__) if module.name.endswith("_pb2")
    ]
    ours = [importlib.import_module(f"uniaudio.v1.{name}").DESCRIPTOR for name in names]
    return [*ours, health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR]


def methods() -> set[str]:
    return {
        f"/{service.full_name}/{method.name}"
        for file in descriptors()
        for service in file.services_by_name.values()
        for method in service.methods
    }


def test_every_method_has_a_row() -> None:
    assert methods() - set(METHODS) == set(), (
        "give each new method its role in uniaudio/runtime/guard/roles.py"
    )


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_role_opens_its_methods_and_no_others(method: str) -> None:
    asked = METHODS[method]
    for role in Role:
        allowed = isinstance(asked, Access) or role in (asked, Role.ADMIN)
        if allowed:
            check_role(method, "me", frozenset({role}))
        else:
            with pytest.raises(PermissionDeniedError, match=f"the role {asked}"):
                check_role(method, "me", frozenset({role}))


@pytest.mark.parametrize("method", ["/uniaudio.v1.SpeechService/Sing", "", "/", "Transcribe"])
def test_a_method_without_a_row_is_nobody_s(method: str) -> None:
    with pytest.raises(PermissionDeniedError):
        check_role(method, "root", frozenset(Role))
    assert not is_public(method)


def test_only_probes_are_public() -> None:
    assert {method for method in METHODS if is_public(method)} == {
        f"/grpc.health.v1.Health/{name}" for name in ("Check", "Watch", "List")
    }
