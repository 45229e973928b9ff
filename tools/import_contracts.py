"""An import-linter contract of our own: which outside packages a part may load, however indirectly."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OnlyLoads(Contract):
    """Importing a source package loads, besides the standard library, only the allowed packages.

    Unlike a `forbidden` contract it needs no list of everything that could go wrong. It follows every
    first-party import, and the `__init__` of each parent package, as Python does.
    """

    type_name = "only_loads"

    source_modules = fields.ListField(subfield=fields.ModuleField())
    allowed_modules = fields.SetField(subfield=fields.StringField())
    first_party = fields.BooleanField(required=False, default=True)

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Finds each import of an outside package (or, unless `first_party`, of our own) not allowed."""
        sources = [str(module.name) for module in self.source_modules]  # type: ignore[attr-defined]
        allowed = {*self.allowed_modules, *sys.stdlib_module_names}  # type: ignore[misc]
        unknown = [source for source in sources if source not in graph.modules]
        if unknown:
            raise ValueError(f"contract '{self.name}' names modules that do not exist: {unknown}")
        misses = [
            (importer, imported)
            for importer, imported in _imports(graph, sources)
            if (graph.is_module_squashed(imported) and imported.split(".")[0] not in allowed)
            or (not self.first_party and not graph.is_module_squashed(imported))
        ]
        return ContractCheck(kept=not misses, metadata={"misses": sorted(misses)})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Prints each import that broke the contract."""
        for importer, imported in check.metadata["misses"]:
            output.print_error(f"{importer} imports {imported}")


def _imports(graph: ImportGraph, sources: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yields every (importer, imported) pair that loading the source packages brings about."""
    waiting = [module for source in sources for module in (source, *graph.find_descendants(source))]
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        waiting.extend(_parents(module))
        for imported in graph.find_modules_directly_imported_by(module):
            yield module, imported
            if not graph.is_module_squashed(imported):
                waiting.append(imported)


def _parents(module: str) -> Iterator[str]:
    while "." in module:
        module = module.rpartition(".")[0]
        yield module
