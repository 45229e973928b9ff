"""Which of an image's libraries is loaded: the most able that the processor runs, of these very sources."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from uniaudio.nn.native.library import sources_digest
from uniaudio.nn.native.prebuilt import KINDS, find_prebuilt, prebuild

BY_NAME = {kind.name: kind for kind in KINDS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "prebuilt"
    prebuild("0123", lambda flags, target: target.write_text(" ".join(flags)) and None, place)
    return place


@pytest.mark.parametrize("name", BY_NAME)
def test_a_processor_gets_what_is_made_for_its_kind(folder: Path, name: str) -> None:
    found = find_prebuilt("0123", BY_NAME[name].needs | {"sse2"}, folder)
    assert found is not None
    assert found.read_text() == " ".join(BY_NAME[name].flags)


def test_one_without_wide_vectors_gets_none(folder: Path) -> None:
    assert find_prebuilt("0123", {"sse2", "avx"}, folder) is None


def test_what_lacks_one_instruction_gets_the_next_lower_kind(folder: Path) -> None:
    found = find_prebuilt("0123", BY_NAME["bf16"].needs - {"avx512_bf16"}, folder)
    assert found is not None
    assert found.read_text() == " ".join(BY_NAME["vnni"].flags)


def test_libraries_of_other_sources_are_left_alone(folder: Path) -> None:
    assert find_prebuilt("4567", BY_NAME["bf16"].needs, folder) is None


def test_each_kind_can_what_the_next_can() -> None:
    for more, less in itertools.pairwise(KINDS):
        assert more.needs > less.needs


def test_the_digest_tells_builds_apart() -> None:
    assert sources_digest() != sources_digest("-march=native")
