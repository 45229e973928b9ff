"""Recordings and folders that tests make of nothing."""

import numpy as np
import soundfile


def write_recording(path, seconds=1.0, sample_rate=16000, channels=1, **options):
    """A file of noise in whatever form its name or `options` say; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).uniform(-0.2, 0.2, (round(seconds * sample_rate), channels))
    soundfile.write(path, samples, sample_rate, **options)
    return path


def write_text(path, text, encoding="utf-8"):
    """A text file and its folders; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)
    return path
