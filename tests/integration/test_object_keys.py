"""Whatever callers call themselves and their things, keys of the object store are our own words and numbers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.fakes_speech import FakeLanguageModel, reading, tone
from tests.job_service_house import running_jobs
from uniaudio.client import EditItem
from uniaudio.errors import InvalidInputError

# Words of ours, and numbers that are random or hashes: nothing else may stand between the slashes.
_NAME = re.compile(
    r"jobs|recordings|results|generations|artifacts|[0-9]+|[0-9a-f]{8,64}|[0-9a-f-]{9,100}|[0-9]+-[0-9a-f]{64}"
)
NASTY = [
    "../../etc/passwd",
    "a/../../b",
    "C:\\x",
    "name with spaces",
    "ünïcode",
    "%2e%2e%2f",
    "key;rm -rf",
    "\u202e",
]


@pytest.mark.parametrize("name", NASTY)
async def test_no_word_of_a_caller_s_is_in_a_key(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "jobs"
    async with running_jobs(folder, FakeLanguageModel(reading())) as house:
        house.caller = name
        item = EditItem(audio=tone(0.5), sample_rate=16_000, edits=["make it 2 times faster"], label=name)
        try:
            job = await house.client.jobs.create([item], request_id=name)
        except InvalidInputError:
            job = await house.client.jobs.create([item], request_id="plain")  # the name is refused as an id
        await house.client.jobs.wait(job.job_id)
    objects = [path for path in folder.rglob("*") if path.is_file() and "objects" in path.parts]
    assert len(objects) >= 2, "a recording and a result lie in the store"
    for path in objects:
        key = path.relative_to(folder).parts[1:]
        assert all(_NAME.fullmatch(part) for part in key), key
    assert set(tmp_path.iterdir()) == {folder}
