"""The contract `only_loads`: what a package may load from outside."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from grimp import ImportGraph

from tools.import_contracts import OnlyLoads


def _graph(imports: Iterable[tuple[str, str]]) -> ImportGraph:
    graph = ImportGraph()
    for module in ("house", "house.wire"):
        graph.add_module(module)
    for importer, imported in imports:
        graph.add_module(importer)
        graph.add_module(imported, is_squashed=not imported.startswith("house"))
        graph.add_import(importer=importer, imported=imported)
    return graph


def _misses(graph: ImportGraph, **options: object) -> list[tuple[str, str]]:
    contract = OnlyLoads(
        name="test",
        session_options={},
        contract_options={"source_modules": ["house.model"], "allowed_modules": ["numpy"], **options},
    )
    result = contract.check(graph, verbose=False)
    assert result.kept is not bool(result.metadata["misses"])
    return list(result.metadata["misses"])


def test_the_standard_library_and_the_allowed_are_fine() -> None:
    assert _misses(_graph([("house.model", "numpy"), ("house.model", "json")])) == []


@pytest.mark.parametrize("part", ["house.model", "house.model.inner"])
def test_another_package_is_found_in_every_part(part: str) -> None:
    assert _misses(_graph([("house.model", "json"), (part, "grpc")])) == [(part, "grpc")]


def test_it_is_found_behind_our_own_modules() -> None:
    graph = _graph(
        [("house.model", "house.wire.client"), ("house.wire.client", "json"), ("house.wire", "grpc")]
    )
    assert _misses(graph) == [("house.wire", "grpc")], "importing house.wire.client runs house.wire"


def test_our_own_modules_can_be_refused_too() -> None:
    graph = _graph([("house.model", "house.other")])
    assert _misses(graph) == []
    assert _misses(graph, first_party="False") == [("house.model", "house.other")]


def test_a_module_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match=r"house\.model"):
        _misses(_graph([("house.other", "json")]))
