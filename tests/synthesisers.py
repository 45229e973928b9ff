"""Tests that let real synthesisers speak, and skip where those are not installed."""

from __future__ import annotations

import shutil

import pytest

needs_synthesisers = pytest.mark.skipif(
    shutil.which("espeak-ng") is None or shutil.which("flite") is None,
    reason="espeak-ng or flite is not installed (Debian: apt-get install espeak-ng flite)",
)
