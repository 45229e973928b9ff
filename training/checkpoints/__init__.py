"""Checkpoints in a store: published whole, by one writer, or not at all."""
