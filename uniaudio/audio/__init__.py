"""Waveforms: files, resampling, framing; plain functions without a model."""
