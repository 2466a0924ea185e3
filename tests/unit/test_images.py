"""The pictures in the documentation are small, shown somewhere, and not missing."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "docs" / "images"
PAGES = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]

MOST_BYTES = 200_000


def test_pictures_and_pages_agree() -> None:
    """Each picture of a page is there, each that is there is on a page, and says in words what it shows."""
    shown = {
        (page.parent / path).resolve(): words
        for page in PAGES
        for words, path in re.findall(r"!\[([^]]*)\]\(([^)]+)\)", page.read_text())
    }
    assert set(shown) == set(IMAGES.glob("*.png"))
    assert all(shown.values())


def test_pictures_are_small() -> None:
    """A clone does not grow by megabytes with every new set."""
    assert [p.name for p in IMAGES.glob("*.png") if p.stat().st_size > MOST_BYTES] == []
