"""What is inside an image's archive: its packages, its layers and their sizes."""

from __future__ import annotations

import json
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from tools.images.programs import built, run


@dataclass(frozen=True)
class Layer:
    """One layer: its digest, and its bytes as it travels and as it lies on a node."""

    digest: str
    packed: int
    unpacked: int


@dataclass(frozen=True)
class Contents:
    """An image's name, layers and number of packages."""

    name: str
    layers: tuple[Layer, ...]
    num_packages: int


def find_syft() -> Path:
    """The program that looks into images; raises ImagesError where it was not built."""
    return built("syft", "syft", "github.com/anchore/syft")


def describe(archive: Path, syft: Path) -> Contents:
    """Writes the SBOM (NAME.spdx.json) beside an OCI archive, and tells what is inside."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=f"{archive.stem}-") as folder:
        with tarfile.open(archive) as files:  # in an archive syft reads no layer above 2 GiB
            files.extractall(folder, filter="data")
        sbom, found = archive.with_suffix(".spdx.json"), Path(folder) / "found.json"
        command: list[str | Path] = [syft, "scan", f"oci-dir:{folder}", "--source-name", archive.stem]
        command += ["--output", f"spdx-json={sbom}", "--output", f"syft-json={found}"]
        run(command, env={"SYFT_CHECK_FOR_APP_UPDATE": "false"})
        told = json.loads(found.read_text())
    unpacked = told["source"]["metadata"]["layers"]
    layers = tuple(
        Layer(packed["digest"], packed["size"], layer["size"])
        for packed, layer in zip(manifest_of(archive)["layers"], unpacked, strict=True)
    )
    return Contents(archive.stem, layers, len(told["artifacts"]))


def table(images: Sequence[Contents]) -> Table:
    """Sizes in MB: what travels, what lies on a node, and the part of it that no other of these images has."""
    holders = Counter(layer.digest for image in images for layer in image.layers)
    shown = Table()
    for heading in ("image", "packages", "layers", "packed", "unpacked", "its own"):
        shown.add_column(heading, justify="left" if heading == "image" else "right")
    for image in images:
        own = (layer for layer in image.layers if holders[layer.digest] == 1)
        counts = str(image.num_packages), str(len(image.layers))
        shown.add_row(image.name, *counts, *_megabytes(image.layers), _megabytes(own)[1])
    distinct = {layer.digest: layer for image in images for layer in image.layers}.values()
    shown.add_section()
    shown.add_row("together", "", str(len(distinct)), *_megabytes(distinct))
    return shown


def _megabytes(layers: Iterable[Layer]) -> tuple[str, str]:
    kept = list(layers)
    packed, unpacked = (sum(layer.packed for layer in kept), sum(layer.unpacked for layer in kept))
    return f"{packed / 1e6:,.0f}", f"{unpacked / 1e6:,.0f}"


def manifest_of(archive: Path) -> Any:
    """The manifest of the one image in an OCI archive."""
    with tarfile.open(archive) as files:

        def read(name: str) -> Any:
            file = files.extractfile(name)
            assert file is not None, name
            return json.load(file)

        (image,) = read("index.json")["manifests"]
        algorithm, digest = image["digest"].split(":")
        return read(f"blobs/{algorithm}/{digest}")
