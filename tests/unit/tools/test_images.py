"""What builds the images without Docker, as far as it needs no BuildKit."""

from __future__ import annotations

import ctypes
import io
import json
import subprocess
import tarfile
from pathlib import Path

from rich.console import Console

from tools.images import without_gpu
from tools.images.buildkit import Build, BuildKit
from tools.images.contents import Contents, Layer, manifest_of, table


def _shared(target: Path, source: str, *options: str) -> None:
    command = [
        "cc",
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-x",
        "c",
        "-",
        "-x",
        "none",
        "-o",
        str(target),
        *options,
    ]
    subprocess.run(command, input=source, text=True, check=True, timeout=60)


def test_a_library_loads_without_the_gpus_libraries_that_it_names(tmp_path: Path) -> None:
    torch, theirs = tmp_path / "torch/lib", tmp_path / "elsewhere"
    torch.mkdir(parents=True)
    theirs.mkdir()
    script = theirs / "versions"
    script.write_text("libcufft.so.12 { global: cufftExecC2C; };")
    options = ("-Wl,-soname,libcufft.so.12", f"-Wl,--version-script={script}")
    _shared(theirs / "libcufft.so.12", "int cufftExecC2C(void) { return 0; }", *options)
    source = "int cufftExecC2C(void); int transform(void) { return cufftExecC2C(); }"
    here = f"-Wl,-rpath,{tmp_path / 'made'}"
    _shared(torch / "libtorch_gpu.so", source, str(theirs / "libcufft.so.12"), here)

    assert without_gpu.main([str(tmp_path), str(tmp_path / "made")]) == 0

    assert ctypes.CDLL(str(torch / "libtorch_gpu.so")).transform() == 1, "it is there, and fails when called"


def test_nothing_is_made_where_nothing_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "torch/lib").mkdir(parents=True)
    (tmp_path / "nvidia/lib").mkdir(parents=True)
    _shared(tmp_path / "nvidia/lib/libcufft.so.12", "int cufftExecC2C(void) { return 0; }")
    _shared(
        tmp_path / "torch/lib/libtorch_gpu.so",
        "int cufftExecC2C(void); int transform(void) { return cufftExecC2C(); }",
        str(tmp_path / "nvidia/lib/libcufft.so.12"),
    )

    assert without_gpu.main([str(tmp_path), str(tmp_path / "made")]) == 0

    assert not list((tmp_path / "made").iterdir())


def test_a_base_stands_for_the_name_that_the_dockerfile_has(tmp_path: Path) -> None:
    said = tmp_path / "said"
    program = tmp_path / "buildctl"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {said}\n')
    program.chmod(0o755)
    layout = tmp_path / "layout"
    layout.mkdir()
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": "sha256:5eed"}]}))
    name = "python:3.11-slim@sha256:ba5e"

    BuildKit("unix:///nowhere", program).build(
        Build(
            context=tmp_path,
            dockerfile=tmp_path / "services/llm/Dockerfile",
            arguments={"VARIANT": "cpu"},
            bases={name: layout},
            secrets={"ca": "src=/etc/ca.crt"},
        )
    )

    options = said.read_text().splitlines()
    assert f"--opt=context:{name}=oci-layout://base0@sha256:5eed" in options
    assert f"--oci-layout=base0={layout}" in options
    assert f"--local=dockerfile={tmp_path / 'services/llm'}" in options
    assert "--opt=build-arg:VARIANT=cpu" in options
    assert "--secret=id=ca,src=/etc/ca.crt" in options


def test_an_archives_manifest_is_that_of_its_image(tmp_path: Path) -> None:
    files = {
        "index.json": {"manifests": [{"digest": "sha256:1"}]},
        "blobs/sha256/1": {"layers": [{"digest": "sha256:2", "size": 7}]},
    }
    with tarfile.open(tmp_path / "llm.tar", "w") as archive:
        for name, content in files.items():
            data = json.dumps(content).encode()
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))

    assert manifest_of(tmp_path / "llm.tar")["layers"] == [{"digest": "sha256:2", "size": 7}]


def test_the_table_counts_a_shared_layer_once() -> None:
    base = Layer("base", 50_000_000, 150_000_000)
    images = [
        Contents("llm", (base, Layer("llm", 5_000_000, 20_000_000)), 90),
        Contents("gateway", (base, Layer("gateway", 1_000_000, 3_000_000)), 40),
    ]
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(table(images))
    rows = [line.replace("│", " ").split() for line in console.export_text().splitlines()]
    assert ["llm", "90", "2", "55", "170", "20"] in rows
    assert ["gateway", "40", "2", "51", "153", "3"] in rows
    assert ["together", "3", "56", "173"] in rows
