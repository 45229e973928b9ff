"""`python -m uniaudio.cli`, the same as `uniaudio`."""

from __future__ import annotations

from uniaudio.cli import main

if __name__ == "__main__":
    main()
