"""How many frames and patches a recording has: the arithmetic that every part must agree on.

A frame is `hop_length` samples, a patch `patch_size` frames. The last frame of a recording is padded
with zeros, the frames after the last whole patch are dropped (model specification 2.1, 6.2).
"""

from __future__ import annotations


def num_frames(num_samples: int, hop_length: int) -> int:
    """Frames of a recording, the last one possibly partly padding."""
    return -(-num_samples // hop_length)


def num_patches(num_samples: int, hop_length: int, patch_size: int) -> int:
    """Whole patches of a recording."""
    return num_frames(num_samples, hop_length) // patch_size


def padded_length(num_samples: int, hop_length: int, input_dim: int) -> int:
    """Samples that the frames of a recording cover, padding included, with frames of `input_dim`."""
    count = num_frames(num_samples, hop_length)
    return (count - 1) * hop_length + input_dim if count else 0
