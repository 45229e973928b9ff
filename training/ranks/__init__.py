"""The ranks of a run: joining them, and how weights, experts and gradients lie over them."""
