"""Layers that two models use. Sequences travel packed: `(N, ...)`, their lengths beside them."""
