"""A rank that holds experts for another: `python -m services.llm.rank`.

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say which one and where rank 0, the service itself, is.
`python -m services.llm.rank check` tells whether the one on this machine hangs (exit 0 or 1).
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from services.llm.settings import LlmSettings, RankSettings
from services.llm.sign_of_life import SignOfLife
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.settings import read_settings, settings_parser

log = get_logger(__name__)

# A rank waits three of its deadlines for rank 0 before it moves again.
_SILENT_DEADLINES = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where it cannot start or finds no rank 0. A signal ends it at once: it remembers nothing."""
    command = _parse(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    setup_logging("llm-rank")
    try:
        settings, ranks = read_settings(LlmSettings), read_settings(RankSettings)
        setup_logging(f"llm-rank-{ranks.rank}", settings.log_level)
        if command == "check":
            SignOfLife(ranks).check(limit_seconds=_SILENT_DEADLINES * settings.rank_timeout_seconds)
            return 0
        from services.llm.loading import serve_rank  # brings torch, which a check can do without

        serve_rank(settings, ranks)
    except UniaudioError as error:
        log.error(error.message, reason=error.reason)
    return 1


def _parse(arguments: Sequence[str] | None) -> str:
    parser = settings_parser(
        "python -m services.llm.rank", "A rank that holds experts for rank 0.", LlmSettings, RankSettings
    )
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "check"),
        default="serve",
        help="serve (default), or check: whether the rank on this machine hangs, exit 0 or 1",
    )
    command: str = parser.parse_args(arguments).command
    return command


if __name__ == "__main__":
    sys.exit(main())
