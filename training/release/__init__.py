"""The released layout, there and back, and adapters."""
