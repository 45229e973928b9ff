"""What `training.train` ends with; a Kubernetes Job goes by it."""

from __future__ import annotations

DONE, FAILED, REFUSED, AGAIN = 0, 1, 3, 75
WRONG_USAGE = 2  # typer's own
