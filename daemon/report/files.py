"""Reports on disk: written as JSON and as a page, and checked against their digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from config.errors import ConfigError
from replicator.verification.report import FORMAT, is_intact

from .page import page, report_in

PAGES = (".html", ".htm")


def write(report: Mapping[str, Any], place: Path) -> list[Path]:
    """Write a report into a file, a page where its name ends in .html; into a folder write both.

    Return what was written. Raises ConfigError when it cannot be.
    """
    if place.is_dir():
        stem = "liteferry-verification-" + report["finished_at"][:19].replace(":", "")
        return [written for end in (".json", ".html") for written in write(report, place / (stem + end))]
    text = page(report) if place.suffix.lower() in PAGES else json.dumps(report, indent=2) + "\n"
    try:
        place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"cannot write the report to {str(place)!r}: {error.strerror}",
            hint="give a folder that is there, or a file in one, with --report",
        ) from None
    return [place]


def read(place: Path) -> tuple[dict[str, Any], bool]:
    """Return the report in a file, and whether it, and all that a page shows of it, is as it was made.

    Raises ConfigError for a file that is no report.
    """
    try:
        text = place.read_text(encoding="utf-8")
        is_page = place.suffix.lower() in PAGES
        report = report_in(text) if is_page else json.loads(text)
    except (OSError, ValueError):
        report = None
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise ConfigError(
            f"{str(place)!r} is no report of a verification", hint="give one that --report wrote"
        )
    return report, is_intact(report) and (not is_page or _shows(text, report))


def _shows(text: str, report: Mapping[str, Any]) -> bool:
    try:
        return text == page(report)
    except (KeyError, TypeError, AttributeError):
        return False
