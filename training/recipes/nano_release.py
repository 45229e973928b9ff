"""nano as it ships: the weights of its last runs in the released layout, in files below 16 MB, and its letter ear.

`python -m training.recipes.nano_release OUT` writes it from the runs of the work folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training.experiments.command import DEFAULT_WORK, WorkOption
from training.recipes.nano_language import text_tokenizer, vocabulary_rows
from training.recipes.nano_runs import NESTED
from training.recipes.nano_sizes import EAR_NET, FLOW_HEAD, TOKENIZER, language_model
from training.recipes.nano_vocabulary import nano_text_tokenizer
from training.recipes.nano_wide import EAR, STEADY
from training.release.config import Identity, preprocessor_config, release_config
from training.release.export import export_model
from training.release.finished import finished_weights, refusals_told
from training.run_folder import RunFolder
from training.stages.ear import read_ear
from uniaudio.tokenizer.ear import save_ear

_MAX_FILE_BYTES = 15_500_000
# What it is understood best with (docs/nano-log.md).
SAMPLING = {"guidance_scale": 4.0, "temperature": 1.2}
TAKES = 8
READINGS = 7
WINDOW_SECONDS = 5
"""The longest sentence that it learnt; two at once it reads as none."""
NOTICE = (
    "nano knows synthetic English of a small grammar: it transcribes, speaks and edits such sentences. "
    "On other speech and other words it mostly fails."
)


def release_nano(runs: Path, out: Path, *, tokenizer_run: str = NESTED, language_run: str = STEADY) -> Path:
    """Writes the checkpoint folder; `runs` holds the finished runs."""
    weights = finished_weights(runs, (tokenizer_run, language_run))
    ear = read_ear(RunFolder(runs / EAR).weights, EAR_NET)
    config = release_config(
        tokenizer=TOKENIZER,
        language_model=language_model(vocabulary_rows()),
        flow_head=FLOW_HEAD,
        end_token_id=text_tokenizer().end_id,
    )
    export_model(
        out,
        weights,
        config,
        preprocessor_config(TOKENIZER, FLOW_HEAD.patch_size),
        nano_text_tokenizer(),
        Identity(
            name="uniaudio-nano",
            notice=NOTICE,
            sampling=SAMPLING,
            takes=TAKES,
            readings=READINGS,
            window_seconds=WINDOW_SECONDS,
            names_letters=True,
        ),
        max_shard_bytes=_MAX_FILE_BYTES,
    )
    save_ear(out, ear, {"run": EAR})
    return out


def main(
    out: Annotated[Path, typer.Argument(help="Folder of the checkpoint; a model card in it stays.")],
    work: WorkOption = DEFAULT_WORK,
    tokenizer_run: Annotated[str, typer.Option(help="Whose tokenizer to take.")] = NESTED,
    language_run: Annotated[str, typer.Option(help="Whose language model to take.")] = STEADY,
) -> None:
    """Write nano from the finished runs of a work folder."""
    with refusals_told():
        folder = release_nano(
            work.expanduser() / "runs", out, tokenizer_run=tokenizer_run, language_run=language_run
        )
    typer.echo(f"written: {folder}, {sum(f.stat().st_size for f in folder.glob('*.safetensors')):,} bytes")


if __name__ == "__main__":
    typer.run(main)
