"""Vectorised kernels for a CPU: transformer stacks and the flow solver in C++, built at first use.

`load_kernels` builds and loads them; `PackedStack` holds a stack's weights in their layout.
"""
