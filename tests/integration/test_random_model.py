"""The random model: the same bits from the same seed, in the released layout, and honest about itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer

from uniaudio.checkpoint import Checkpoint
from uniaudio.checkpoint_layout import tensor_shapes
from uniaudio.random_model import write_random_checkpoint
from uniaudio.random_vocabulary import SPECIAL_TOKENS


def test_the_same_seed_gives_the_same_bits(random_checkpoint: Path, tmp_path: Path, root: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "uniaudio.random_model", tmp_path], check=True, timeout=100, cwd=root
    )
    files = sorted(path.name for path in random_checkpoint.iterdir())
    assert files == sorted(path.name for path in tmp_path.iterdir())
    assert all((random_checkpoint / f).read_bytes() == (tmp_path / f).read_bytes() for f in files)


def test_another_seed_gives_another_model(random_checkpoint: Path, tmp_path: Path) -> None:
    other = Checkpoint(write_random_checkpoint(tmp_path, seed=1))
    assert not torch.equal(
        other.tensor("stop_head.weight"), Checkpoint(random_checkpoint).tensor("stop_head.weight")
    )


def test_its_tensors_are_those_of_the_layout(random_checkpoint: Path) -> None:
    checkpoint = Checkpoint(random_checkpoint)
    assert {key: checkpoint.shape(key) for key in checkpoint.keys()} == tensor_shapes(checkpoint.config)
    assert checkpoint.size_bytes < 20_000_000


def test_the_layout_is_that_of_the_published_goldens(shared_dir: Path) -> None:
    checkpoint = Checkpoint(shared_dir / "golden" / "tiny-a" / "checkpoint")
    assert {key: checkpoint.shape(key) for key in checkpoint.keys()} == tensor_shapes(checkpoint.config)


def test_its_text_tokenizer_has_the_special_tokens_in_order(random_checkpoint: Path) -> None:
    tokenizer = Tokenizer.from_file(str(random_checkpoint / "tokenizer.json"))
    first = tokenizer.token_to_id(SPECIAL_TOKENS[0])
    assert [tokenizer.token_to_id(t) for t in SPECIAL_TOKENS] == list(
        range(first, first + len(SPECIAL_TOKENS))
    )
    config = json.loads((random_checkpoint / "config.json").read_text())
    assert config["llm_config"]["eos_token_id"] == tokenizer.token_to_id("<|endoftext|>")
    assert tokenizer.get_vocab_size() <= config["llm_config"]["vocab_size"]
    text = "Please translate the text to speech.\n今天天气很好, 3.5°C!"
    encoded = tokenizer.encode(f"<role>HUMAN</role>{text}<audio>")
    assert encoded.ids[-1] == tokenizer.token_to_id("<audio>")
    assert tokenizer.decode(encoded.ids) == f"HUMAN{text}"
