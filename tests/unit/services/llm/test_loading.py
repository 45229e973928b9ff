"""The environment reaches the engine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from services.llm.loading import engine_config
from services.llm.settings import LlmSettings
from uniaudio.engine.request import EngineConfig

# What the service decides by itself: the published limit of texts is no operator's business.
NOT_SET = {"max_text_characters", "precision"}


def test_unset_settings_are_the_engines_own_defaults() -> None:
    config = engine_config(LlmSettings(model_dir=Path("model")))
    assert dataclasses.replace(config, precision=None) == EngineConfig()


def test_every_limit_of_the_engine_can_be_set() -> None:
    names = {field.name for field in dataclasses.fields(EngineConfig)} - NOT_SET
    defaults = LlmSettings(model_dir=Path("model"))
    for name in names:
        value = getattr(defaults, name)
        changed = (not value) if isinstance(value, bool) else value + 1
        settings = dataclasses.replace(defaults, **{name: changed})
        assert getattr(engine_config(settings), name) == changed
