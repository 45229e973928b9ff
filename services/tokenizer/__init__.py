"""The tokenizer service: waveforms to latents and back, on Ray Serve or in one process."""
