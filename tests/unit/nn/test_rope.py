"""Known answers of the two rotary pairings (model specification, appendix C)."""

from __future__ import annotations

import torch

from uniaudio.nn.rope import rotary_tables, rotate_half_split, rotate_interleaved

X = torch.arange(1.0, 9.0).view(1, 1, 8)


def test_half_split_known_answer() -> None:
    rotated = rotate_half_split(X, *rotary_tables(torch.tensor([3]), 8, 10000.0))
    expected = [-1.6955925, 0.1375517, 2.7886816, 3.9759820, -4.8088425, 6.3230593, 7.0868367, 8.0119640]
    torch.testing.assert_close(rotated.flatten(), torch.tensor(expected), atol=2e-6, rtol=0)


def test_interleaved_known_answer() -> None:
    rotated = rotate_interleaved(X, *rotary_tables(torch.tensor([3]), 8, 10000.0))
    expected = [-1.2722325, -1.8388650, 1.6839286, 4.7079066, 4.8177772, 6.1472777, 6.9759685, 8.0209640]
    torch.testing.assert_close(rotated.flatten(), torch.tensor(expected), atol=2e-6, rtol=0)


def test_frequencies_of_the_language_model() -> None:
    cos, sin = rotary_tables(torch.tensor([1]), 128, 600000.0)
    angles = torch.atan2(sin, cos)[0, [0, 1, 2, 31]]
    torch.testing.assert_close(
        angles, torch.tensor([1.0, 0.8122999, 0.6598311, 0.0015893]), atol=1e-6, rtol=0
    )


def test_angles_stay_exact_after_days_of_stream() -> None:
    """Two positions one apart differ by exactly one step, wherever they are."""
    far = 16_000_000
    cos, sin = rotary_tables(torch.tensor([far, far + 1]), 8, 10000.0)
    step_cos, step_sin = rotary_tables(torch.tensor([1]), 8, 10000.0)
    torch.testing.assert_close(cos[0] * step_cos[0] - sin[0] * step_sin[0], cos[1], atol=1e-6, rtol=0)
