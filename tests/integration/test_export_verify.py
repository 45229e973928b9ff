"""An export is a checkpoint like any other: `uniaudio verify` records it and finds itself again."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer
from typer.testing import CliRunner

from training.release.config import Identity, preprocessor_config, release_config
from training.release.export import export_model
from training.release.loading import load_release
from training.weights import flat_weights
from uniaudio.checkpoint import Checkpoint
from uniaudio.cli.app import app
from uniaudio.engine.speech_model import SpeechModel

PATCH_SIZE = 5


def rebuilt(random_checkpoint: Path, folder: Path) -> Checkpoint:
    """The random model exported from its modules and configs alone, in bfloat16 and in shards."""
    release = load_release(random_checkpoint)
    language_model = release.modules["llm"]
    flow_head = release.modules["flow_head"]
    config = release_config(
        tokenizer=release.tokenizer.config,
        language_model=language_model.config,  # type: ignore[arg-type]
        flow_head=flow_head.config,  # type: ignore[arg-type]
        end_token_id=release.text_tokenizer.end_id,
    )
    export_model(
        folder,
        flat_weights(release.modules),
        config,
        preprocessor_config(release.tokenizer.config, PATCH_SIZE),
        Tokenizer.from_file(str(random_checkpoint / "tokenizer.json")),
        Identity(name="rebuilt"),
        dtype=torch.bfloat16,
        max_shard_bytes=1_000_000,
    )
    return Checkpoint(folder)


def test_verify_records_and_confirms_an_export(random_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = rebuilt(random_checkpoint, tmp_path / "model")
    model = SpeechModel.from_checkpoint(checkpoint)
    assert model.info.name == "rebuilt"
    out = tmp_path / "verified"
    recorded = CliRunner().invoke(app, ["verify", str(checkpoint.directory), "--record", "--out", str(out)])
    assert recorded.exit_code == 0, recorded.output
    compared = CliRunner().invoke(app, ["verify", str(out), "--json"])
    assert compared.exit_code == 0, compared.output
    told = json.loads(compared.stdout)
    assert told["passed"] is True
    assert {row["verdict"] for row in told["rows"]} == {"ok", "given"}
    assert len({row["golden"] for row in told["rows"]}) == 12


def test_the_text_tokenizer_files_are_those_of_the_release(random_checkpoint: Path, tmp_path: Path) -> None:
    rebuilt(random_checkpoint, tmp_path)
    for name in (
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "preprocessor_config.json",
    ):
        assert (tmp_path / name).read_bytes() == (random_checkpoint / name).read_bytes()
