"""A rank that holds experts for another: `python -m services.llm.rank`.

RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say which one and where rank 0, the service itself, is.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from services.llm.loading import serve_rank
from services.llm.settings import LlmSettings, RankSettings
from uniaudio.errors import UniaudioError
from uniaudio.runtime.logging import get_logger, setup_logging
from uniaudio.runtime.settings import read_settings, settings_parser

log = get_logger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 1 where it cannot start or finds no rank 0. A signal ends it at once: it remembers nothing."""
    settings_parser(
        "python -m services.llm.rank", "A rank that holds experts for rank 0.", LlmSettings, RankSettings
    ).parse_args(arguments)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    setup_logging("llm-rank")
    try:
        settings, ranks = read_settings(LlmSettings), read_settings(RankSettings)
        setup_logging(f"llm-rank-{ranks.rank}", settings.log_level)
        serve_rank(settings, ranks)
    except UniaudioError as error:
        log.error(error.message, reason=error.reason)
    return 1


if __name__ == "__main__":
    sys.exit(main())
