"""Builds the images where there is no Docker, and says what is inside: `python -m tools.images`."""
