"""A released checkpoint is tuned on recordings by the command, whole or by adapters, and exported again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import training.tuned
from tests.unit.training.data.speakers import ToneSpeaker
from training.data.manifest import ManifestWriter, Row
from training.data.triplets.corpus import TripletCorpusConfig, write_corpus
from training.data.triplets.source import Synthetic
from training.release.lora import LoraConfig, load_adapter
from training.train import app
from uniaudio.checkpoint import Checkpoint
from uniaudio.engine.speech_model import SpeechModel

RATE = 16000


@pytest.fixture
def work(random_checkpoint: Path, tmp_path: Path) -> Path:
    """A work folder with the random model and two manifests of hums."""
    folder = tmp_path / "data" / "sft"
    folder.mkdir(parents=True)
    (folder / "model").symlink_to(random_checkpoint)
    rng = np.random.default_rng(0)
    for split in ("train", "dev"):
        with ManifestWriter(folder / f"{split}.jsonl") as manifest:
            for index in range(4):
                path = folder / f"{split}-{index}.wav"
                soundfile.write(path, 0.1 * rng.standard_normal(RATE // 2), RATE)
                manifest.write(
                    Row(
                        id=path.stem, audio=path, sample_rate=RATE, num_samples=RATE // 2, corpus="hums",
                        split=split, text="hum it", language="English", speaker=f"voice {index % 2}",
                    )
                )  # fmt: skip
    return tmp_path


@pytest.mark.parametrize("recipe", ["sft", "lora"])
def test_a_release_is_tuned_and_exported(work: Path, random_checkpoint: Path, recipe: str) -> None:
    trained = CliRunner().invoke(app, [recipe, "--short", "--work", str(work)])
    assert trained.exit_code == 0, trained.output
    lines = [json.loads(line) for line in (work / "runs" / recipe / "metrics.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line}
    assert {"understanding/text", "speech/flow", "routing/overload"} <= names
    assert {"evaluation/signature/unstable_routing", "evaluation/drift/understanding"} <= names
    command = training.tuned.typer.Typer()
    command.command()(training.tuned.tuned)
    run, out = work / "runs" / recipe / "weights.safetensors", work / "out"
    arguments = [
        str(random_checkpoint),
        str(run),
        str(out),
        "--name",
        "hummer",
        "--edit",
        "--shard-megabytes",
        "4",
    ]
    done = CliRunner().invoke(command, [*arguments, *(["--lora"] if recipe == "lora" else [])])
    assert done.exit_code == 0, done.output
    tuned, base = Checkpoint(out), Checkpoint(random_checkpoint)
    assert SpeechModel.from_checkpoint(tuned).info.name == "hummer-Edit"
    changed = {key for key in base.keys() if not tuned.tensor(key).equal(base.tensor(key))}
    assert "model.model.layers.0.attention.query_key_value.weight" in changed
    assert not [key for key in changed if key.startswith(("audio.encoder.", "audio.decoder.decoder."))]
    assert ("stop_head.weight" in changed) == (recipe == "sft")
    assert bool([k for k in changed if k.startswith("audio.decoder.semantic_model.")]) == (recipe == "sft")
    if recipe == "lora":
        config, adapters = load_adapter(out / "adapter.safetensors")
        assert config == LoraConfig()
        assert "flow_head.blocks.0.attention.to_v.lora_b" in adapters


def test_a_release_learns_to_edit(work: Path) -> None:
    folder = (work / "data" / "sft").rename(work / "data" / "edit")
    count = TripletCorpusConfig(count=11, held_out_count=11)
    write_corpus(folder / "triplets", count, Synthetic(ToneSpeaker), gate_boundaries=0, quiet=True)
    trained = CliRunner().invoke(app, ["edit", "--short", "--work", str(work)])
    assert trained.exit_code == 0, trained.output
    lines = [json.loads(line) for line in (work / "runs" / "edit" / "metrics.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line}
    assert {"edit/flow", "understanding/text", "evaluation/edit/speaks"} <= names
    assert {"evaluation/signature/misaligned_triplets", "evaluation/signature/unstable_routing"} <= names


def test_what_is_not_there_is_told(work: Path, random_checkpoint: Path) -> None:
    command = training.tuned.typer.Typer()
    command.command()(training.tuned.tuned)
    absent = CliRunner().invoke(
        command, [str(random_checkpoint), str(work / "no.safetensors"), str(work / "out"), "--name", "x"]
    )
    assert (absent.exit_code, "cannot read the weights" in absent.stderr) == (1, True)
