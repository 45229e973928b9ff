"""Lets torch load where NVIDIA's libraries were left out: `python without_gpu.py SITE_PACKAGES FOLDER`.

PyPI has one build of torch for Linux. It will not load without 3 GB of libraries that it never calls on a CPU, so
an image for CPUs leaves them out and puts libraries of some kilobytes under their names: they have every function
that torch's own libraries name, and each fails with status 1. Where none is left out none is made.
"""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

_DRIVER = "libcuda.so.1"  # comes with the machine, not with an image
_SECONDS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    """0 once FOLDER has a library under each missing name."""
    packages, folder = map(Path, sys.argv[1:] if arguments is None else arguments)
    objects = sorted((packages / "torch/lib").glob("*.so"))
    folder.mkdir(parents=True, exist_ok=True)
    missing = _missing(objects, packages)
    called = "\n".join(_told("nm", "-D", "-u", path) for path in objects)
    for name in missing:
        _compile(name, _functions(called, name), folder)
    print(f"made {', '.join(missing) or 'nothing'}")
    return 0


def _missing(objects: Iterable[Path], packages: Path) -> list[str]:
    """The libraries that the objects want and that neither the packages nor the system have."""
    wanted = {
        name for path in objects for name in re.findall(r"NEEDED.*\[(.*)\]", _told("readelf", "-d", path))
    }
    brought = {path.name for folder in ("torch", "nvidia") for path in packages.glob(f"{folder}/**/*.so*")}
    return sorted(name for name in wanted - brought - {_DRIVER} if not _is_loadable(name))


def _is_loadable(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _functions(called: str, library: str) -> Mapping[str, set[str]]:
    """The functions of each version that begin like the library: libcudnn.so.9 has cudnnCreate."""
    prefix = library.removeprefix("lib").split(".")[0].split("_")[0]
    functions = defaultdict(set)
    for name, version in re.findall(rf"^ +[Uw] ({prefix}\w+)(?:@+(\S+))?$", called, re.MULTILINE):
        functions[version].add(name)
    return functions


def _compile(library: str, functions: Mapping[str, Iterable[str]], folder: Path) -> None:
    names = sorted(name for of_version in functions.values() for name in of_version)
    source = "int absent(void) { return 1; }\n" + "".join(
        f'int {name}(void) __attribute__((alias("absent")));\n' for name in names
    )
    versions = "".join(
        f"{version} {{ global: {'; '.join(sorted(of_version))}; }};\n"
        for version, of_version in sorted(functions.items())
        if version
    )
    script = folder / "versions"
    script.write_text(versions)
    command = ["cc", "-shared", "-nostdlib", "-fno-builtin", f"-Wl,-soname,{library}"]
    command += [f"-Wl,--version-script={script}"] if versions else []
    command += ["-x", "c", "-", "-o", str(folder / library)]
    subprocess.run(command, input=source, text=True, check=True, timeout=_SECONDS)
    script.unlink()


def _told(*command: str | Path) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=_SECONDS).stdout


if __name__ == "__main__":
    sys.exit(main())
