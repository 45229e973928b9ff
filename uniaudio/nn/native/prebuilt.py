"""Kernels compiled beforehand for kinds of processors, so that an image needs no compiler.

`python -m uniaudio.nn.native.prebuilt` compiles all kinds into this package's own folder.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "prebuilt"


@dataclass(frozen=True)
class Kind:
    """Processors that have all of `needs`, as Linux writes them; `flags` are the compiler's for these."""

    name: str
    flags: tuple[str, ...]
    needs: frozenset[str]


_V3 = frozenset({"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
KINDS = (
    Kind(
        "bf16",
        ("-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16"),
        _V4 | {"avx512_vnni", "avx512_bf16"},
    ),
    Kind("vnni", ("-march=x86-64-v4", "-mavx512vnni"), _V4 | {"avx512_vnni"}),
    Kind("avx512", ("-march=x86-64-v4",), _V4),
    Kind("avx2", ("-march=x86-64-v3",), _V3),
)
"""The most able first."""


def find_prebuilt(digest: str, processor: Set[str], folder: Path = FOLDER) -> Path | None:
    """The most able library that this processor runs, of the sources that `digest` names; None without one."""
    able = (_place(folder, kind, digest) for kind in KINDS if kind.needs <= processor)
    return next((path for path in able if path.is_file()), None)


def prebuild(
    digest: str, compile_into: Callable[[tuple[str, ...], Path], None], folder: Path = FOLDER
) -> None:
    """Compiles the sources that `digest` names for every kind."""
    folder.mkdir(exist_ok=True)
    for kind in KINDS:
        compile_into(kind.flags, _place(folder, kind, digest))


def _place(folder: Path, kind: Kind, digest: str) -> Path:
    return folder / f"kernels-{kind.name}-{digest}.so"


def main() -> int:
    """0 when all kinds were compiled; the library's own error otherwise."""
    from uniaudio.nn.native.library import compile_kernels, find_compiler, sources_digest

    compiler = find_compiler()
    prebuild(sources_digest(), lambda flags, target: compile_kernels(compiler, flags, target))
    return 0


if __name__ == "__main__":
    sys.exit(main())
