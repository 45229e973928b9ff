"""Languages by code, by region, by name."""

from __future__ import annotations

import pytest

from services.gateway.languages import language_name


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("en", "English"),
        ("en-GB", "English"),
        (" ZH ", "Chinese"),
        ("English", "English"),
        ("川渝", "川渝"),
        ("", ""),
    ],
)
def test_names(asked: str, name: str) -> None:
    assert language_name(asked) == name
