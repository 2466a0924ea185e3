"""The reference and the example file say what the fields say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from config.names import key_of, variable_of
from config.reference import SECTIONS, example_toml, settings_markdown, unit_of
from config.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("path", "text", "argument"),
    [
        ("docs/reference/settings.md", settings_markdown, "settings"),
        ("liteferry.example.toml", example_toml, "example"),
    ],
)
def test_the_written_file_is_current(path: str, text: Callable[[], str], argument: str) -> None:
    """What stands in the repository is what the fields give now."""
    assert (ROOT / path).read_text() == text(), f"run: python -m config.reference {argument} > {path}"


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_described(name: str) -> None:
    """Each has a description that ends in a full stop, a heading, its variable and its default."""
    field = Settings.model_fields[name]
    page = settings_markdown()

    assert field.description and field.description.endswith(".")
    assert f"\n### {key_of(name)}\n" in page
    assert f"`{variable_of(name)}`" in page


def test_every_number_has_a_unit() -> None:
    """A bare number means nothing to an operator."""
    numbers = [name for name, field in Settings.model_fields.items() if field.annotation in (int, float)]

    assert numbers
    assert [name for name in numbers if unit_of(Settings.model_fields[name]) == "text"] == []


def test_the_sections_hold_every_setting_once() -> None:
    """A new field cannot be forgotten in the page's order."""
    listed = [name for names in SECTIONS.values() for name in names]

    assert sorted(listed) == sorted(Settings.model_fields)
