"""Known counts of frames and patches (model specification, appendix C)."""

from __future__ import annotations

import pytest

from uniaudio.audio.framing import num_frames, num_patches, padded_length


@pytest.mark.parametrize(
    ("num_samples", "frames", "patches"),
    [(16000, 50, 10), (16001, 51, 10), (1599, 5, 1), (1280, 4, 0), (0, 0, 0)],
)
def test_known_counts(num_samples: int, frames: int, patches: int) -> None:
    assert num_frames(num_samples, 320) == frames
    assert num_patches(num_samples, 320, 5) == patches


def test_padding_reaches_the_end_of_the_last_frame() -> None:
    assert padded_length(16001, 320, 320) == 51 * 320
    assert padded_length(16001, 320, 400) == 50 * 320 + 400
    assert padded_length(0, 320, 400) == 0
