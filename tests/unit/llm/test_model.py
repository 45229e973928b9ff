"""The language model over packed sequences, with caches, masks and three-axis positions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from uniaudio.errors import InvalidInputError
from uniaudio.llm.config import LanguageModelConfig, PatchConfig
from uniaudio.llm.model import LanguageModel, normalize_head
from uniaudio.llm.patching import LinearPooling
from uniaudio.nn.rope import rotary_tables


def build(head_dim: int = 128) -> LanguageModel:
    torch.manual_seed(0)
    config = LanguageModelConfig(
        vocab_size=50,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        num_kv_heads=1,
        head_dim=head_dim,
        num_experts=4,
        top_k=2,
        moe_intermediate_size=8,
        num_shared_experts=1,
        multi_gate=True,
    )
    return LanguageModel(config).eval()


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return build()


def embeddings(count: int, seed: int = 1) -> Tensor:
    return torch.randn(count, 16, generator=torch.Generator().manual_seed(seed))


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_prefill_and_steps_equal_one_pass_and_positions_equal_the_cache(model: LanguageModel) -> None:
    x, cache = embeddings(12), model.new_cache()
    parts = [model(x[:5], [5], [cache]), model(x[5:9], [4], [cache])]
    parts += [model(x[i : i + 1], [1], [cache]) for i in range(9, 12)]
    close(torch.cat(parts), model(x, [12]))
    assert cache.num_positions == 12
    assert all(layer.length == 12 for layer in cache.layers)


@torch.no_grad()
def test_packed_sequences_equal_each_alone(model: LanguageModel) -> None:
    x, y = embeddings(7, 2), embeddings(4, 3)
    close(model(torch.cat((x, y)), [7, 4]), torch.cat((model(x, [7]), model(y, [4]))))
    caches = [model.new_cache(), model.new_cache()]
    model(torch.cat((x[:6], y[:1])), [6, 1], caches)
    mixed = model(torch.cat((x[6:], y[1:])), [1, 3], caches)
    close(mixed, torch.cat((model(x, [7])[6:], model(y, [4])[1:])))
    assert [cache.num_positions for cache in caches] == [7, 4]


@torch.no_grad()
def test_the_mask_changes_router_choices_of_masked_rows_only(model: LanguageModel) -> None:
    x, mask = embeddings(9), torch.arange(9) > 5
    chosen: list[Tensor] = []
    hook = model.layers[0].mlp.router.register_forward_hook(lambda _m, _i, out: chosen.append(out[1]))
    plain, masked = model(x, [9]), model(x, [9], audio_mask=mask)
    hook.remove()
    assert torch.equal(chosen[0][~mask], chosen[1][~mask])
    assert not torch.equal(chosen[0][mask], chosen[1][mask])
    # Causal: what lies before the first masked row does not change at all.
    close(masked[:6], plain[:6])


@torch.no_grad()
def test_three_equal_axes_are_plain_positions_and_different_ones_are_not(model: LanguageModel) -> None:
    x, steps = embeddings(8), torch.arange(8)
    plain = model(x, [8])
    close(model(x, [8], positions=steps.expand(3, -1)), plain)
    assert not torch.allclose(model(x, [8], positions=torch.stack((steps, steps // 2, steps % 3))), plain)


def test_axes_get_16_24_and_24_frequencies(model: LanguageModel) -> None:
    positions = torch.tensor([[3], [5], [7]])
    cos, _ = model._rotary_tables(positions)
    alone = [rotary_tables(torch.tensor([position]), 128, 600000.0)[0] for position in (3, 5, 7)]
    expected = torch.cat((alone[0][:, :16], alone[1][:, 16:40], alone[2][:, 40:]), -1)
    assert torch.equal(cos, expected)


def test_inverse_frequencies_have_the_published_values() -> None:
    _, sin = rotary_tables(torch.tensor([1]), 128, 600000.0)
    angles = sin[0, [1, 2, 31]].asin()
    assert angles.tolist() == pytest.approx([0.8122999, 0.6598311, 0.0015893], abs=1e-6)


def test_three_axes_need_the_released_head_width() -> None:
    small = build(head_dim=8)
    with pytest.raises(InvalidInputError, match="head of 128"):
        small(embeddings(2), [2], positions=torch.zeros(3, 2, dtype=torch.long))


@torch.no_grad()
def test_ids_beyond_the_table_take_its_last_row(model: LanguageModel) -> None:
    assert torch.equal(model.embed(torch.tensor([999])), model.embed(torch.tensor([49])))


@torch.no_grad()
def test_logits_are_float32_and_bfloat16_stays_finite_and_near() -> None:
    exact, rounded = build(), build().bfloat16()
    x = embeddings(10)
    hidden = rounded(x.bfloat16(), [10])
    assert hidden.dtype is torch.bfloat16
    logits = rounded.logits(hidden)
    assert logits.dtype is torch.float32
    assert logits.isfinite().all()
    reference = exact.logits(exact(x, [10]))
    assert (logits - reference).abs().mean() < 0.1 * reference.abs().mean()


def test_a_normalised_head_has_columns_of_length_1_and_stays_so() -> None:
    weight = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    once = weight.clone()
    normalize_head(once, num_rows=3)
    torch.testing.assert_close(once, weight / weight.norm(dim=0))
    twice = once.clone()
    normalize_head(twice)
    torch.testing.assert_close(twice, once)


@torch.no_grad()
def test_frames_of_a_patch_may_be_swapped_but_patches_may_not() -> None:
    torch.manual_seed(0)
    pooling = LinearPooling(unified_dim=6, hidden_size=4, patch_size=3)
    frames = torch.randn(6, 6)
    out = pooling(frames)
    assert out.shape == (2, 4)
    close(pooling(frames[[2, 0, 1, 5, 4, 3]]), out)
    close(pooling(frames[[3, 4, 5, 0, 1, 2]]), out.flip(0))
    assert not torch.allclose(out[0], out[1])


@pytest.mark.parametrize(
    ("num_samples", "num_patches"), [(16000, 10), (16001, 10), (1599, 1), (1280, 0), (0, 0)]
)
def test_recordings_have_the_published_number_of_patches(num_samples: int, num_patches: int) -> None:
    assert PatchConfig().num_patches(num_samples) == num_patches
