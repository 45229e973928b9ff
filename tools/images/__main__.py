"""Builds the images into OCI archives, an SBOM beside each, without Docker and without a registry."""

from __future__ import annotations

import os
import signal
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tools.images.bases import Base, find_base
from tools.images.buildkit import Build, BuildKit, own_buildkit
from tools.images.contents import describe, find_syft, table
from tools.images.programs import ROOT, ImagesError, cache, run

DOCKERFILES: Mapping[str, Path] = {
    path.parent.name: path
    for path in (*sorted(ROOT.glob("services/*/Dockerfile")), ROOT / "training/Dockerfile")
}
VARIANTS = ("cpu", "gpu")
OUTPUT = cache() / "images"
console = Console(stderr=True)


def main(
    only: Annotated[str, typer.Option(help="Names, with commas between them; all without it.")] = "",
    variant: Annotated[str, typer.Option(help="cpu leaves out what only a GPU needs; or gpu.")] = "cpu",
    output: Annotated[Path, typer.Option(help="Where NAME.tar and NAME.spdx.json go.")] = OUTPUT,
    repository: Annotated[str, typer.Option(help="What stands before the name.")] = "uniaudio/",
    tag: Annotated[str, typer.Option(help="What stands behind it; the version without it.")] = "",
) -> None:
    """Build images with a BuildKit of our own: needs root, runc and mmdebstrap (Debian's)."""
    names = only.split(",") if only else list(DOCKERFILES)
    if unknown := set(names) - DOCKERFILES.keys():
        raise typer.BadParameter(f"no image {sorted(unknown)}; there are: {', '.join(DOCKERFILES)}")
    if variant not in VARIANTS:
        raise typer.BadParameter(f"no variant {variant!r}; there are: {', '.join(VARIANTS)}")
    output.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # BuildKit is ended then, too
    try:
        syft = find_syft()
        with own_buildkit() as buildkit:
            base = find_base(DOCKERFILES[names[0]], buildkit, console.print)
            for name in names:
                console.print(f"building {name}")
                reference = f"{repository}{name}:{tag or _version()}"
                _build(buildkit, name, variant, base, f"dest={output / name}.partial,name={reference}")
                (output / f"{name}.partial").replace(output / f"{name}.tar")
        Console().print(table([describe(output / f"{name}.tar", syft) for name in names]))
    except ImagesError as error:
        console.print(str(error), style="red", markup=False)
        raise typer.Exit(1) from error


def _build(buildkit: BuildKit, name: str, variant: str, base: Base, output: str) -> None:
    build = Build(
        context=ROOT,
        dockerfile=DOCKERFILES[name],
        output=f"type=oci,compression=zstd,{output}",
        arguments={"VARIANT": variant, "VERSION": _version(), "REVISION": _revision(), **_proxies()},
        labels={"org.opencontainers.image.base.name": base.told},
        bases={} if base.layout is None else {base.name: base.layout},
        secrets=_secrets(),
    )
    buildkit.build(build)


def _secrets() -> dict[str, str]:
    """This machine's certificate authorities and registries: steps of a build see them, no layer keeps them."""
    files = {
        "ca": os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"),
        "pip": os.environ.get("PIP_CONFIG_FILE", "/etc/pip.conf"),
    }
    secrets = {name: f"src={path}" for name, path in files.items() if Path(path).is_file()}
    if "NPM_CONFIG_REGISTRY" in os.environ:
        secrets["npm_registry"] = "env=NPM_CONFIG_REGISTRY"
    return secrets


def _proxies() -> dict[str, str]:
    names = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
    return {name: value for name, value in os.environ.items() if name.upper() in names}


def _version() -> str:
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def _revision() -> str:
    return run(["git", "-C", ROOT, "rev-parse", "HEAD"]).strip()


if __name__ == "__main__":
    typer.run(main)
