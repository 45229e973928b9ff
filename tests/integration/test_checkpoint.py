"""Checkpoints on a real disk: every layout loads alike, every damage is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from uniaudio.checkpoint import Checkpoint, Piece, load_parameters, refuse_unknown_keys
from uniaudio.errors import CheckpointError


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "a.weight": torch.randn(4, 3, generator=generator),
        "a.bias": torch.randn(4, generator=generator).bfloat16(),
        "experts": torch.randn(2, 3, 5, generator=generator),
        "count": torch.tensor(7),
        "empty": torch.zeros(0, 3),
    }


@pytest.fixture
def directory(tmp_path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """One file."""
    (tmp_path / "config.json").write_text('{"hidden_size": 4}')
    save_file(tensors, tmp_path / "model.safetensors")
    return tmp_path


@pytest.fixture
def sharded(directory: Path, tensors: dict[str, torch.Tensor]) -> Path:
    """Two shards and an index."""
    (directory / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map = {}
    for number, part in enumerate((names[:2], names[2:]), 1):
        file = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, directory / file)
        weight_map |= dict.fromkeys(part, file)
    write_index(directory, weight_map)
    return directory


def write_index(directory: Path, weight_map: object) -> None:
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def read_index(directory: Path) -> dict[str, str]:
    weight_map: dict[str, str] = json.loads((directory / "model.safetensors.index.json").read_text())[
        "weight_map"
    ]
    return weight_map


def test_one_file_gives_what_was_saved(directory: Path, tensors: dict[str, torch.Tensor]) -> None:
    checkpoint = Checkpoint(directory)
    assert checkpoint.keys() == set(tensors)
    assert checkpoint.config == {"hidden_size": 4}
    for key, value in tensors.items():
        assert checkpoint.shape(key) == tuple(value.shape)
        assert checkpoint.dtype(key) == value.dtype
        assert torch.equal(checkpoint.tensor(key), value)
    assert checkpoint.size_bytes == sum(value.nbytes for value in tensors.values())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_dtypes_are_converted(directory: Path, tensors: dict[str, torch.Tensor], dtype: torch.dtype) -> None:
    for key in ("a.weight", "a.bias"):
        assert torch.equal(Checkpoint(directory).tensor(key, dtype=dtype), tensors[key].to(dtype))


def test_shards_and_loose_files_give_the_same(sharded: Path, tensors: dict[str, torch.Tensor]) -> None:
    assert all(torch.equal(Checkpoint(sharded).tensor(key), value) for key, value in tensors.items())
    (sharded / "model.safetensors.index.json").unlink()
    assert all(torch.equal(Checkpoint(sharded).tensor(key), value) for key, value in tensors.items())


def test_pieces_fill_and_parts_are_cut(directory: Path, tensors: dict[str, torch.Tensor]) -> None:
    class Stacked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.swapped = nn.Parameter(torch.empty(2, 3, 5))
            self.wide = nn.Parameter(torch.empty(3, 9))

    with torch.device("meta"):
        module = Stacked()
    everything = slice(None)
    used = load_parameters(
        module,
        Checkpoint(directory),
        {
            "swapped": [Piece("experts", into=(0,), part=1), Piece("experts", into=(1,), part=0)],
            "wide": [
                Piece("experts", into=(everything, slice(4, 9)), part=1),
                Piece("experts", into=(everything, slice(0, 5)), part=0),
            ],
        },
    )
    assert used == {"experts"}
    assert torch.equal(module.swapped, tensors["experts"].flip(0))
    assert torch.equal(module.wide[:, :5], tensors["experts"][0])


def test_conversion_in_several_stagings(
    directory: Path, tensors: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uniaudio.safetensors_file._STAGING_BYTES", 16)
    found = Checkpoint(directory).tensor("experts", dtype=torch.float64)
    assert torch.equal(found, tensors["experts"].double())


def meta_linear(in_dim: int = 3, out_dim: int = 4) -> nn.Module:
    with torch.device("meta"):
        return nn.ModuleDict({"a": nn.Linear(in_dim, out_dim)})


def test_a_module_on_meta_becomes_real(directory: Path, tensors: dict[str, torch.Tensor]) -> None:
    module = meta_linear()
    used = load_parameters(
        module,
        Checkpoint(directory),
        lambda name: name,
        dtype=lambda name: torch.float64 if name.endswith("bias") else torch.float32,
    )
    assert used == {"a.weight", "a.bias"}
    state = module.state_dict()
    assert torch.equal(state["a.weight"], tensors["a.weight"])
    assert torch.equal(state["a.bias"], tensors["a.bias"].double())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_wrong_shape_is_refused_with_key_and_both_shapes(directory: Path) -> None:
    module = meta_linear(in_dim=5)
    with pytest.raises(
        CheckpointError, match=r"a\.weight: .*has shape \(4, 3\), .*expects \(4, 5\)"
    ) as refused:
        load_parameters(module, Checkpoint(directory), lambda name: name)
    assert refused.value.metadata["key"] == "a.weight"
    assert all(parameter.is_meta for parameter in module.parameters())


def test_a_missing_key_is_refused_with_the_shape_expected(directory: Path) -> None:
    with pytest.raises(CheckpointError, match=r"b\.bias: missing; the model expects shape \(4,\)"):
        load_parameters(meta_linear(), Checkpoint(directory), lambda name: name.replace("a.bias", "b.bias"))


def test_many_disagreements_are_counted(directory: Path) -> None:
    with torch.device("meta"):
        module = nn.ModuleList(nn.Linear(2, 2) for _ in range(5))
    with pytest.raises(CheckpointError, match=r"and 5 more$"):
        load_parameters(module, Checkpoint(directory), lambda name: name)


def test_a_table_that_no_checkpoint_holds_is_never_left_as_it_was(directory: Path) -> None:
    module = meta_linear()
    module.register_buffer("table", torch.empty(4, device="meta"), persistent=False)
    with pytest.raises(AssertionError, match="table is not in checkpoints"):
        load_parameters(module, Checkpoint(directory), lambda name: name)


def test_surplus_tensors_are_refused(directory: Path) -> None:
    checkpoint = Checkpoint(directory)
    refuse_unknown_keys(checkpoint, {"a.weight"}, lambda key: key == "a.bias", prefix="a.")
    with pytest.raises(CheckpointError, match=r"a\.bias: in the checkpoint with shape \(4,\)"):
        refuse_unknown_keys(checkpoint, {"a.weight"}, lambda _key: False, prefix="a.")


def drop_directory(directory: Path) -> None:
    shutil.rmtree(directory)


def drop_config(directory: Path) -> None:
    (directory / "config.json").unlink()


def break_config(directory: Path) -> None:
    (directory / "config.json").write_text('{"hidden_size": ')


def list_config(directory: Path) -> None:
    (directory / "config.json").write_text("[]")


def drop_weights(directory: Path) -> None:
    for path in directory.glob("model*"):
        path.unlink()


def truncate_shard(directory: Path) -> None:
    path = directory / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def truncate_header(directory: Path) -> None:
    path = directory / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:20])


def replace_shard(directory: Path) -> None:
    (directory / "model-00002-of-00002.safetensors").write_text("<html>Not found</html>")


def lie_about_a_shape(directory: Path) -> None:
    path = directory / "model-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes().replace(b'"shape":[2,3,5]', b'"shape":[2,3,6]'))


def drop_shard(directory: Path) -> None:
    (directory / "model-00001-of-00002.safetensors").unlink()


def break_index(directory: Path) -> None:
    (directory / "model.safetensors.index.json").write_text("{")


def empty_index(directory: Path) -> None:
    write_index(directory, None)


def name_an_absent_file(directory: Path) -> None:
    write_index(directory, read_index(directory) | {"a.bias": "model-00003-of-00002.safetensors"})


def name_a_file_elsewhere(directory: Path) -> None:
    write_index(directory, read_index(directory) | {"a.bias": "../secret.safetensors"})


def name_the_wrong_shard(directory: Path) -> None:
    write_index(directory, read_index(directory) | {"a.bias": "model-00002-of-00002.safetensors"})


def store_a_key_twice(directory: Path) -> None:
    (directory / "model.safetensors.index.json").unlink()
    save_file({"a.bias": torch.zeros(1)}, directory / "model-extra.safetensors")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_directory, r"no checkpoint directory .*name one that holds config\.json"),
        (drop_config, r"cannot read .*config\.json: No such file"),
        (break_config, r"config\.json is not valid JSON: .*line 1"),
        (list_config, r"config\.json must hold a JSON object, not list"),
        (drop_weights, r"no weights in .*expected model\.safetensors or"),
        (
            truncate_shard,
            r"00002-of-00002\.safetensors is truncated: its header asks for \d+ bytes.*fetch it again",
        ),
        (truncate_header, r"00002-of-00002\.safetensors is truncated: its header needs"),
        (replace_shard, r"00002-of-00002\.safetensors is not a safetensors file"),
        (lie_about_a_shape, r"bad header .*shape \(2, 3, 6\) of F32 does not fill bytes"),
        (drop_shard, r"index\.json names model-00001-of-00002\.safetensors, which is missing"),
        (break_index, r"index\.json is not valid JSON"),
        (empty_index, r'index\.json has no "weight_map"'),
        (name_an_absent_file, r"index\.json names model-00003-of-00002\.safetensors, which is missing"),
        (name_a_file_elsewhere, r"'\.\./secret\.safetensors', which is not a file beside it"),
        (name_the_wrong_shard, r"a\.bias: .*says it is in model-00002-of-00002\.safetensors, but it is not"),
        (store_a_key_twice, r"a\.bias is in both"),
    ],
)
def test_damage_is_refused_by_name(sharded: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(sharded)
    with pytest.raises(CheckpointError, match=message):
        Checkpoint(sharded)


def test_an_unknown_key_is_refused(directory: Path) -> None:
    with pytest.raises(CheckpointError, match="b: not in the checkpoint"):
        Checkpoint(directory).tensor("b")


@pytest.fixture
def random_copy(random_checkpoint: Path, tmp_path: Path) -> Path:
    """A copy of the random model that a test may change."""
    return Path(shutil.copytree(random_checkpoint, tmp_path / "copy"))


def change_config(directory: Path, **changes: Any) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_info_says_what_the_config_says(random_checkpoint: Path) -> None:
    info = Checkpoint(random_checkpoint).info
    assert info.name == "uniaudio-random"
    assert not info.trained
    assert "never trained" in info.notice
    assert len(info.revision) == 12


def test_info_of_a_published_checkpoint(directory: Path) -> None:
    info = Checkpoint(directory).info
    assert (info.name, info.trained, info.notice) == (directory.name, True, "")


def test_the_revision_follows_config_and_weights(random_checkpoint: Path, random_copy: Path) -> None:
    revision = Checkpoint(random_checkpoint).info.revision
    assert Checkpoint(random_copy).info.revision == revision
    change_config(random_copy, another=1)
    changed_config = Checkpoint(random_copy).info.revision
    assert changed_config != revision
    weights = load_file(random_copy / "model.safetensors")
    weights["stop_head.weight"] *= 1.001
    save_file(weights, random_copy / "model.safetensors", metadata={"format": "pt"})
    assert Checkpoint(random_copy).info.revision not in (revision, changed_config)


@pytest.mark.parametrize("seconds", [-1, True, "5", float("inf")])
def test_a_window_that_is_no_number_of_seconds_is_refused(directory: Path, seconds: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({"uniaudio": {"window_seconds": seconds}}))
    with pytest.raises(CheckpointError, match='window_seconds" must be a number of seconds'):
        _ = Checkpoint(directory).info


@pytest.mark.parametrize("takes", [0, 1.5, True, "8"])
def test_takes_that_are_no_number_of_times_are_refused(directory: Path, takes: object) -> None:
    path = directory / "config.json"
    path.write_text(json.dumps({"uniaudio": {"takes": takes}}))
    with pytest.raises(CheckpointError, match='takes" must be a whole number from 1'):
        _ = Checkpoint(directory).info
