"""Where jobs are kept follows from a folder, or from addresses of a database and a store."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.orchestrator.job_settings import JobSettings
from uniaudio.errors import StartupError
from uniaudio.runtime.settings import read_settings


def test_nothing_set_serves_none() -> None:
    assert not read_settings(JobSettings, {}).are_served


def test_a_folder_holds_both() -> None:
    settings = read_settings(JobSettings, {"UNIAUDIO_JOBS_DIR": "/a"})
    assert settings.are_served
    assert (settings.database, settings.store) == ("sqlite:////a/jobs.sqlite", "/a/objects")


def test_each_may_lie_elsewhere() -> None:
    environ = {"UNIAUDIO_JOBS_DATABASE": "postgresql://u@h/n", "UNIAUDIO_JOBS_STORE": "s3://b/p"}
    settings = read_settings(JobSettings, environ)
    assert (settings.database, settings.store) == ("postgresql://u@h/n", "s3://b/p")
    half = JobSettings(folder=Path("/a"), store_url="s3://b/p")
    assert (half.database, half.store) == ("sqlite:////a/jobs.sqlite", "s3://b/p")


def test_half_a_place_is_none() -> None:
    settings = JobSettings(store_url="s3://b/p")
    assert settings.are_served
    with pytest.raises(StartupError, match="UNIAUDIO_JOBS_DATABASE"):
        _ = settings.database
