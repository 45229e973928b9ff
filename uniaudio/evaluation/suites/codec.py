"""Codec reconstruction of any folder of recordings (evaluation 1.5)."""

from __future__ import annotations

from uniaudio.errors import InvalidInputError
from uniaudio.evaluation.bench import Bench
from uniaudio.evaluation.recordings import find_recordings
from uniaudio.evaluation.results import SuiteResult
from uniaudio.evaluation.suites.reconstruction import reconstruction


def evaluate(bench: Bench) -> SuiteResult:
    """PESQ-wb, STOI, SI-SDR and voice of every recording under the folder.

    Outputs have the recordings' own relative paths, ending in `.wav`. InvalidInputError for a folder
    without recordings.
    """
    found = [
        (str(path.relative_to(bench.data).with_suffix("")), path) for path in find_recordings(bench.data)
    ]
    if not found:
        raise InvalidInputError(f"{bench.data} holds no recordings: name a folder with WAV or FLAC files")
    table, items = reconstruction(bench, "codec reconstruction", found)
    return SuiteResult(
        suite="codec", settings=bench.settings(), models=bench.models(), tables=[table], items=items
    )
