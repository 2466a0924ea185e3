"""What is said about settings that are wrong; never with a password in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .errors import ConfigError
from .names import SHARED_NAMES, key_of, suggestion, variable_of
from .secret import mask_text

DEFAULT_HINT = "every setting is described in docs/reference/settings.md"
LONGEST_VALUE = 80


@dataclass(frozen=True)
class Given:
    """Which settings were said where, to tell the operator where to look."""

    overrides: Collection[str]
    in_file: Collection[str]
    file: Path | None

    def origin(self, field: str) -> str:
        """Return ` (from ...)` for the layer whose value counted; nothing for overrides and defaults."""
        if field in self.overrides:
            return ""
        if os.environ.get(variable_of(field)):
            return f" (from {variable_of(field)})"
        if field in self.in_file:
            return f" (from {str(self.file)!r})"
        shared = SHARED_NAMES.get(field, "")
        return f" (from {shared})" if os.environ.get(shared) else ""


def in_words(error: ValidationError, given: Given, fields: Iterable[str]) -> ConfigError:
    """Return pydantic's findings as one error: setting, rule, value, and where it was said."""
    known = [key_of(field) for field in fields]
    problems = [_problem(details, given, known) for details in error.errors()]
    if len(problems) > 1:
        problems = [f"{len(problems)} settings are wrong:", *problems]
    return ConfigError("\n  ".join(problems), hint=DEFAULT_HINT)


def _problem(details: ErrorDetails, given: Given, known: list[str]) -> str:
    field, *inner = (str(part) for part in details["loc"])
    name = ".".join([key_of(field), *(part for part in inner if part != "[key]")])
    if details["type"] == "extra_forbidden":
        return f"unknown setting {name!r}{suggestion(name, known)}"
    rule = str(details["ctx"]["error"]) if details["type"] == "value_error" else details["msg"]
    # a target that is no URL may be anything, a bare password included
    shown = "" if field in ("target", "http_token") else f", got {_shown(details['input'])}"
    return f"{name} {rule.replace('Input should', 'must')}{shown}{given.origin(field)}"


def _shown(value: object) -> str:
    text = mask_text(repr(value))
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 3] + "..."
