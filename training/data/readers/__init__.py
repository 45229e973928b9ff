"""Readers of open corpora: from the folder that a corpus unpacks to, to rows of a manifest.

Every reader is `(folder, collector) -> rows`; `CORPORA` names them all, those that the published model was
pre-trained on (model specification 8.5). `python -m training.data.readers CORPUS FOLDER --out FILE` runs one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from training.data.manifest import Row
from training.data.readers import big_json, json_lines, kaldi, stm, tables, textgrid, trees
from training.data.readers.collector import Collector
from uniaudio.errors import InvalidInputError

Reader = Callable[[Path, Collector], Iterator[Row]]


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be read, and how many hours of it the published model saw."""

    title: str
    hours: int
    read: Reader


CORPORA = {
    "aishell1": Corpus("AISHELL-1", 155, trees.aishell1),
    "aishell3": Corpus("AISHELL-3", 65, trees.aishell3),
    "aishell4": Corpus("AISHELL-4", 61, textgrid.aishell4),
    "alimeeting": Corpus("AliMeeting", 120, textgrid.alimeeting),
    "covost": Corpus("CoVoST", 456, tables.covost),
    "covost2": Corpus("CoVoST 2", 18, tables.covost2),
    "emilia": Corpus("Emilia", 90305, json_lines.emilia),
    "gigaspeech": Corpus("GigaSpeech", 10288, big_json.gigaspeech),
    "kespeech": Corpus("KeSpeech", 1428, kaldi.kespeech),
    "libriheavy": Corpus("Libriheavy", 51448, json_lines.libriheavy),
    "librispeech": Corpus("LibriSpeech", 960, trees.librispeech),
    "magicdata": Corpus("MagicData", 747, trees.magicdata),
    "mls": Corpus("Multilingual LibriSpeech", 45000, tables.mls),
    "peoples_speech": Corpus("People's Speech", 30000, json_lines.peoples_speech),
    "slidespeech": Corpus("SlideSpeech", 473, kaldi.slidespeech),
    "spgispeech": Corpus("SPGISpeech", 5000, tables.spgispeech),
    "tedlium": Corpus("TED-LIUM", 208, stm.tedlium),
    "wenetspeech": Corpus("WenetSpeech", 10518, big_json.wenetspeech),
}


def read_corpus(name: str, folder: Path) -> tuple[Iterator[Row], Collector]:
    """The rows of a corpus, and what counts those that are left out; both fill while rows are taken.

    Raises InvalidInputError for an unknown name, and, while rows are taken, for files that are not what the
    layout has.
    """
    if name not in CORPORA:
        raise InvalidInputError(f"no corpus {name!r}; there are {', '.join(CORPORA)}")
    if not folder.is_dir():
        raise InvalidInputError(f"{folder} is no folder; give the one that the corpus was unpacked to")
    collector = Collector(name)
    return CORPORA[name].read(folder, collector), collector
