"""Runs a command that ends when its parent ends: `python bound_child.py COMMAND ...`.

The kernel sends SIGTERM when the parent is gone, even if that was killed and could stop nothing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Asks for the signal, then becomes the command."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        sys.exit(1)  # it ended before the kernel knew
    os.execv(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
