"""What happens to recordings in the world: noise, rooms, codecs. 16 kHz mono, float32 in [-1, 1]."""
