"""`uniaudio encode` and `uniaudio decode`: recordings to latents and back."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uniaudio.cli import options
from uniaudio.cli.files import (
    STANDARD,
    check_output,
    choose_format,
    existing_file,
    read_recording,
    read_standard_input,
    writing,
)
from uniaudio.cli.outcome import reported, say, warn
from uniaudio.cli.session import connected, print_json, progress
from uniaudio.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uniaudio.client import Latents, OutputFormat

_TENSOR = "latents"
_NPY_MAGIC = b"\x93NUMPY"


def encode(
    audio: options.Recording,
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help='.npy or .safetensors file to write; "-" is standard output (.npy).'
        ),
    ],
    sample: Annotated[
        bool, typer.Option("--sample", help="Draw from the posterior instead of taking its mean.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of that draw.")] = 0,
    pcm_rate: options.PcmRate = None,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Turn a recording into latents, 50 rows a second."""
    check_output(output, [audio], as_json=json)
    ending = ".npy" if output == STANDARD else Path(output).suffix.lower()
    if ending not in (".npy", ".safetensors"):
        raise typer.BadParameter("Latents are written as .npy or .safetensors.", param_hint="--output")
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        recording = read_recording(audio, pcm_rate)
        model = client.tokenizer_info()
        with progress("encoding", quiet=json):
            latents = client.encode(recording, sample=sample, seed=seed)
        facts = {
            "sample_rate": str(model.sample_rate),
            "hop_length": str(model.hop_length),
            "model": model.model.name,
            "revision": model.model.revision,
        }
        content = _npy(latents) if ending == ".npy" else _safetensors(latents, facts)
        with writing(output) as file:
            file.write(content)
        warn([model.model.notice])
        if json:
            print_json({"num_frames": latents.shape[0], "latent_dim": latents.shape[1], **facts})
        elif output != STANDARD:
            say(f"{latents.shape[0]} frames of {latents.shape[1]} values in {output}")


def decode(
    latents: Annotated[
        str, typer.Argument(metavar="LATENTS", help='.npy or .safetensors file; "-" is standard input.')
    ],
    output: options.AudioOutput,
    format: options.AudioFormatName = None,
    rate: options.OutputRate = None,
    server: options.Server = "127.0.0.1:50051",
    timeout: options.Timeout = 300.0,
    json: options.Json = False,
) -> None:
    """Turn latents back into sound."""
    check_output(output, [latents], as_json=json)
    chosen = choose_format(output, format)
    with reported(as_json=json), connected(server=server, timeout=timeout) as client:
        content = read_standard_input() if latents == STANDARD else existing_file(latents).read_bytes()
        values, facts = _read_latents(content)
        model = client.tokenizer_info().model
        if facts.get("revision") not in (None, model.revision):
            warned = (
                f"these latents were made by {facts.get('model')}, revision {facts['revision']}; "
                f"the service runs {model.name}, revision {model.revision}"
            )
            warn([warned])
        with progress("decoding", quiet=json):
            waveform = client.decode(values)
        with writing(output) as file:
            file.write(_written(waveform, chosen, rate))
        warn([model.notice])
        seconds = len(waveform) / 16000
        if json:
            print_json({"audio_seconds": seconds, "num_frames": len(values), "format": chosen})
        elif output != STANDARD:
            say(f"{seconds:.2f} s of sound in {output}")


def _npy(latents: Latents) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.save(buffer, latents, allow_pickle=False)
    return buffer.getvalue()


def _safetensors(latents: Latents, facts: dict[str, str]) -> bytes:
    from safetensors.numpy import save

    return save({_TENSOR: latents}, metadata=facts)


def _read_latents(content: bytes) -> tuple[NDArray[np.generic], Mapping[str, str]]:
    """The array, and what the file says about where it comes from."""
    import numpy as np

    from uniaudio.client.tensor_files import read_tensors

    if content.startswith(_NPY_MAGIC):
        try:
            loaded = np.load(io.BytesIO(content), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InvalidInputError(
                f"the .npy file cannot be read: {error}; encode the recording again"
            ) from error
        return loaded, {}
    try:
        tensors, facts = read_tensors(content)
    except ValueError as error:
        raise InvalidInputError(
            "the latents are neither a .npy nor a .safetensors file; give what `uniaudio encode` wrote"
        ) from error
    if _TENSOR not in tensors:
        raise InvalidInputError(
            f"the file holds no tensor {_TENSOR!r} but {', '.join(sorted(tensors)) or 'none'}; "
            "give what `uniaudio encode` wrote"
        )
    return tensors[_TENSOR], facts


def _written(waveform: NDArray[np.float32], chosen: OutputFormat, rate: int | None) -> bytes:
    from uniaudio.audio.encode import encode_audio
    from uniaudio.audio.formats import AudioEncoding, AudioFormat

    encoding = AudioEncoding.PCM_S16LE if chosen == "pcm" else AudioEncoding(chosen)
    return encode_audio(waveform, AudioFormat(encoding=encoding, sample_rate=rate or 0))
